"""Each failure of the catalogue is named by a finding; a sound target gets none (failures 1-10)."""

from dataclasses import replace
from typing import Any

import pytest

from chronos_ops.facts.iam import AccessKey
from chronos_ops.facts.s3 import StoredObject
from chronos_ops.facts.systemd import Unit
from chronos_ops.facts.wal_archive import Archive, ArchiveListing
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.wal import WalSegment
from chronos_ops.plans import judge_archive, judge_backup, judge_rights, judge_schedule
from chronos_ops.plans.identity import policy_document
from chronos_ops.plans.jobs import schedules
from chronos_ops.plans.judge_lifecycle import judge_lifecycle
from tests.recorded_cases import example_settings, parsed

SETTINGS = example_settings()
STANZA = SETTINGS.backup.stanza
HOUR = 3600.0


def failed(finding: Finding, *words: str) -> None:
    assert finding.status is Status.FAIL
    assert finding.hint
    for word in words:
        assert word in finding.observed


def passed(finding: Finding) -> None:
    assert finding.status is Status.PASS, finding


# 1 the archiver succeeds and nothing is stored


def test_a_no_op_archiver_is_named() -> None:
    settings = parsed("postgres_settings", "debian-13")
    passed(judge_archive.judge_command(settings, STANZA))
    command = settings["archive_command"]
    push = f"pgbackrest --stanza={STANZA} archive-push %p"
    for text in (
        "/bin/true",
        "pgbackrest --stanza=other archive-push %p",
        "exit 0",
        f"{push} || true",
        f"{push}; true",
        f"{push} &",
        f"echo {push}",
        f"test -f /x || {push}",
        f"pgbackrest --stanza={STANZA} archive-push /dev/null",
        f"pgbackrest --stanza={STANZA} archive-push %p # %p",
    ):
        lying = settings | {"archive_command": replace(command, value=text)}
        failed(judge_archive.judge_command(lying, STANZA), text)
    for text in (
        f"/usr/bin/pgbackrest --stanza={STANZA} --log-level-console=info archive-push %p",
        f"pgbackrest --config=/etc/x.conf --stanza {STANZA} archive-push --process-max=2 %p",
        f'pgbackrest --stanza={STANZA} archive-push "%p"',
    ):
        passed(
            judge_archive.judge_command(
                settings | {"archive_command": replace(command, value=text)}, STANZA
            )
        )
    off = settings | {"archive_mode": replace(settings["archive_mode"], value="off")}
    failed(judge_archive.judge_command(off, STANZA), "archive_mode off")
    mode = replace(settings["archive_mode"], pending_restart=True, written="off")
    tonight = settings | {"archive_mode": mode}
    failed(judge_archive.judge_command(tonight, STANZA), "archive_mode on (off after the next")


def test_a_segment_that_does_not_arrive_fails() -> None:
    passed(judge_archive.judge_arrival(1, "0" * 24, 0.4, 60))
    failed(judge_archive.judge_arrival(2, "0" * 24, None, 60), "not there after 60 s")


# 2 archiving stuck


def test_a_backlog_or_a_failing_archiver_is_named_and_an_idle_one_is_not() -> None:
    archiver = parsed("postgres_archiver", "debian-13")
    passed(judge_archive.judge_backlog(archiver))
    passed(judge_archive.judge_backlog(parsed("postgres_archiver", "unconfigured")))
    old = replace(archiver, last_archived_at="2020-01-01T00:00:00+00:00")
    passed(judge_archive.judge_backlog(old))  # idle for years is not a fault
    failed(judge_archive.judge_backlog(replace(archiver, ready=40)), "40 segments wait")
    failing = replace(archiver, last_failed_at="2099-01-01T00:00:00+00:00", last_failed="0A")
    failed(judge_archive.judge_backlog(failing), "last attempt failed")


# 3 a segment is missing in the middle


def test_a_hole_is_seen_although_verify_says_ok() -> None:
    info = parsed("backup_info", "debian-12")
    whole, hole = parsed("wal_archive", "debian-12"), parsed("wal_archive", "hole")
    passed(judge_archive.judge_continuity(info, 1, whole, all_the_way=True))
    failed(
        judge_archive.judge_continuity(info, 1, hole, all_the_way=True),
        "1 missing: 000000010000000000000004",
    )
    assert parsed("verification", "hole").status == "ok"


def listing(*names: str) -> ArchiveListing:
    segments = tuple(WalSegment.parse(name) for name in names)
    return ArchiveListing(True, True, {"15-1": Archive(segments, dict.fromkeys(names, 0))})


def test_a_gap_between_old_fulls_is_by_design_in_repo2_only() -> None:
    info = parsed("backup_info", "debian-12")
    old, new = info.of_repo(1)[0], info.of_repo(1)[0]
    new = replace(
        new, label="new", wal_start=f"{'0' * 7}1{'0' * 14}0A", wal_stop=f"{'0' * 7}1{'0' * 14}0B"
    )
    info = replace(info, backups=(old, new))
    kept = listing(*(f"{'0' * 7}1{n:016X}" for n in (2, 3, 10, 11, 12)))
    passed(judge_archive.judge_continuity(info, 1, kept, all_the_way=False))
    failed(judge_archive.judge_continuity(info, 1, kept, all_the_way=True), "6 missing")
    torn = listing(*(f"{'0' * 7}1{n:016X}" for n in (2, 10, 11, 12)))
    failed(judge_archive.judge_continuity(info, 1, torn, all_the_way=False), "1 missing")


def test_a_new_timeline_carries_the_archive_on() -> None:
    info = parsed("backup_info", "debian-12")
    names = [f"{'0' * 7}1{n:016X}" for n in (2, 3, 4, 5)] + [f"{'0' * 7}2{n:016X}" for n in (6, 7)]
    passed(judge_archive.judge_continuity(info, 1, listing(*names), all_the_way=True))


def test_an_empty_archive_is_not_continuous() -> None:
    info = parsed("backup_info", "debian-12")
    empty = parsed("wal_archive", "unconfigured")
    failed(judge_archive.judge_continuity(info, 1, empty, all_the_way=True), "0 segments")


# 4 no base backup, 6 a wrong passphrase, 10 a revoked key


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ("unconfigured", "missing stanza path"),
        ("wrong-passphrase", "unable to load info file"),
        ("access-denied", "403"),
    ],
)
def test_a_repository_that_restores_nothing_fails(case: str, word: str) -> None:
    failed(judge_backup.judge_repository(parsed("backup_info", case), 1), word)


def test_a_repository_without_a_full_fails_and_with_one_passes() -> None:
    info = parsed("backup_info", "debian-13")
    passed(judge_backup.judge_repository(info, 1))
    passed(judge_backup.judge_repository(info, 2))
    only_live = replace(info, backups=tuple(info.of_repo(1)))
    failed(judge_backup.judge_repository(only_live, 2), "0 full")
    failed(judge_backup.judge_repository(None, 1), "not configured")


# 5 the lifecycle takes what must stay


def objects() -> list[StoredObject]:
    found: list[StoredObject] = parsed("stored_objects", "debian-13")
    return found


def in_repo2(items: list[StoredObject]) -> list[StoredObject]:
    return [replace(i, key=i.key.replace("live/", "long-term/", 1)) for i in items]


def as_class(items: list[StoredObject], fragment: str, cls: str) -> list[StoredObject]:
    return [replace(i, storage_class=cls) if fragment in i.key else i for i in items]


def test_a_deleted_info_file_and_a_frozen_segment_are_named() -> None:
    for finding in judge_backup.judge_storage(SETTINGS, 1, objects()):
        passed(finding)
    lost = [i for i in objects() if not i.key.endswith("archive.info")]
    failed(judge_backup.judge_storage(SETTINGS, 1, lost)[0], "archive.info")
    cold = as_class(objects(), "000000010000000000000001-", "DEEP_ARCHIVE")
    failed(judge_backup.judge_storage(SETTINGS, 1, cold)[1], "1 objects frozen", "DEEP_ARCHIVE")
    at_once = as_class(objects(), "/archive/", "GLACIER_IR")
    passed(judge_backup.judge_storage(SETTINGS, 1, at_once)[1])


def test_nothing_to_look_at_is_not_known() -> None:
    nothing = judge_backup.judge_storage(SETTINGS, 2, [])
    assert [f.status for f in nothing] == [Status.FAIL, Status.UNKNOWN, Status.UNKNOWN]
    assert nothing[2].observed == "no manifest is there"
    bare = [i for i in in_repo2(objects()) if "manifest" not in i.key]
    assert judge_backup.judge_storage(SETTINGS, 2, bare)[2].status is Status.UNKNOWN


def test_repo2_may_freeze_its_big_files_but_no_manifest() -> None:
    bundles = as_class(in_repo2(objects()), "bundle/", "DEEP_ARCHIVE")
    for finding in judge_backup.judge_storage(SETTINGS, 2, bundles):
        passed(finding)
    manifests = as_class(in_repo2(objects()), "backup.manifest", "DEEP_ARCHIVE")
    failed(judge_backup.judge_storage(SETTINGS, 2, manifests)[1], "backup.manifest")
    grown = [replace(i, size=9 * 2**20) if i.key.endswith(".manifest") else i for i in bundles]
    failed(judge_backup.judge_storage(SETTINGS, 2, grown)[2], "9.00 MiB")


def test_a_rule_that_would_take_current_objects_is_named_before_it_does() -> None:
    ours = parsed("bucket_lifecycle", "debian-13")
    passed(judge_lifecycle(SETTINGS, ours))
    passed(judge_lifecycle(SETTINGS, []))

    def rule(**more: Any) -> dict[str, Any]:
        return {"ID": "tidy", "Status": "Enabled", **more}

    expire, freeze = {"Days": 30}, [{"Days": 1, "StorageClass": "DEEP_ARCHIVE"}]
    for theirs, words in (
        (rule(Filter={"Prefix": ""}, Expiration=expire), "deletes below live/, long-term/"),
        (rule(Filter={"Prefix": "live/archive/"}, Transitions=freeze), "DEEP_ARCHIVE below live/"),
        (rule(Prefix="long-term", Expiration=expire), "deletes below long-term/"),
        (rule(Filter={"And": {"Prefix": "li", "Tags": []}}, Expiration=expire), "below live/"),
    ):
        failed(judge_lifecycle(SETTINGS, [*ours, theirs]), "tidy", words)
    for harmless in (
        rule(Filter={"Prefix": "logs/"}, Expiration=expire),
        rule(Filter={"Prefix": ""}, Expiration={"ExpiredObjectDeleteMarker": True}),
        rule(Filter={"Prefix": ""}, NoncurrentVersionExpiration={"NoncurrentDays": 30}),
        rule(Filter={"Prefix": ""}, Expiration=expire) | {"Status": "Disabled"},
    ):
        passed(judge_lifecycle(SETTINGS, [*ours, harmless]))
    widened = [r | {"Filter": {"Prefix": "long-term/"}} if "Transitions" in r else r for r in ours]
    failed(judge_lifecycle(SETTINGS, widened), "chronos-long-term-tiers")


# 7 too old, timer off, running for ever


def test_old_backups_are_named_by_repository_and_kind() -> None:
    info = parsed("backup_info", "debian-13")
    now = info.backups[-1].stopped + 60.0
    for repo in (1, 2):
        for finding in judge_backup.judge_ages(info, repo, now):
            passed(finding)
    ids = {f.id for f in judge_backup.judge_ages(info, 1, now + 5 * HOUR) if not f.good}
    assert ids == {"backup.repo1.age-backup"}
    ids = {f.id for f in judge_backup.judge_ages(info, 1, now + 28 * HOUR) if not f.good}
    assert ids == {"backup.repo1.age-backup", "backup.repo1.age-full"}
    failed(judge_backup.judge_ages(info, 2, now + 9 * 24 * HOUR)[0], "216.")
    failed(judge_backup.judge_ages(replace(info, backups=()), 2, now)[0], "there is none")


def units(**changed: Any) -> dict[str, Unit]:
    """Timer and service of the full backup; `timer__x` and `job__x` change them."""
    timer = parsed("systemd_units", "debian-13")["chronos-backup-full.timer"]
    job = parsed("systemd_units", "debian-13")["chronos-backup-full.service"]
    for key, value in changed.items():
        which, _, name = key.partition("__")
        if which == "timer":
            timer = replace(timer, **{name: value})
        else:
            job = replace(job, **{name: value})
    return {timer.name: timer, job.name: job}


def test_timers_and_jobs() -> None:
    full = schedules(SETTINGS)[0]
    passed(judge_schedule.judge_timer(full, units()))
    failed(judge_schedule.judge_timer(full, units(timer__enabled="disabled")), "disabled")
    failed(judge_schedule.judge_timer(full, units(timer__active="inactive")), "inactive")
    failed(judge_schedule.judge_timer(full, units(timer__next_elapse="")), "never")
    failed(judge_schedule.judge_timer(full, {}), "absent")
    at_work = units(timer__sub="running", timer__next_elapse="")  # no next moment until it ended
    passed(judge_schedule.judge_timer(full, at_work))
    at_work = units(timer__sub="running", timer__next_elapse="", timer__enabled="disabled")
    failed(judge_schedule.judge_timer(full, at_work), "disabled")
    ends = ["2026-11-22T02:00:09Z full done in 9 s", "2026-11-22T03:00:01Z diff done in 1 s"]
    passed(judge_schedule.judge_job(full, units(), 0, ends))
    failed(judge_schedule.judge_job(full, units(job__result="exit-code"), 0, ends), "exit-code")
    after_reboot = [*ends, "2026-11-23T02:00:01Z full failed with exit code 56"]
    failed(judge_schedule.judge_job(full, units(), 0, after_reboot), "exit code 56")
    never = judge_schedule.judge_job(full, units(), 0, ends[1:])  # systemd says `success` of it
    assert never.status is Status.UNKNOWN
    assert "never ended" in never.observed
    began = "Sun 2026-11-22 02:00:00 UTC"
    start = judge_schedule.moment(began)
    assert start == 1795312800.0
    running = units(job__active="activating", job__started=began)
    passed(judge_schedule.judge_job(full, running, start + HOUR, []))
    failed(judge_schedule.judge_job(full, running, start + 7 * HOUR, []), "7.0 h")
    absent = parsed("systemd_units", "unconfigured")
    failed(judge_schedule.judge_job(full, absent, 0, []), "no such service")


def test_a_drop_in_changes_what_the_own_file_says() -> None:
    found = judge_schedule.judge_drop_ins(parsed("systemd_units", "drop-ins").values())
    failed(found, "chronos-backup-full.service: /etc/systemd/system/chronos-backup-full.service.d")
    vendors = {**parsed("systemd_units", "debian-13")}
    for name, unit in vendors.items():
        vendors[name] = replace(unit, drop_ins=("/usr/lib/systemd/system/service.d/10-x.conf",))
    passed(judge_schedule.judge_drop_ins(vendors.values()))


def test_a_backup_that_stands_still_or_runs_for_ever_is_named_and_one_that_works_is_not() -> None:
    (hung,) = parsed("running_backups", "hung")
    failed(judge_schedule.judge_running([hung]), "state T")
    works = replace(hung, state="S", seconds=1800)
    passed(judge_schedule.judge_running([works]))
    failed(judge_schedule.judge_running([replace(works, seconds=13 * 3600)]), "13.0 h")
    passed(judge_schedule.judge_running(parsed("running_backups", "debian-13")))


# 8 an object was flipped


def test_verify_is_judged_by_its_text() -> None:
    passed(judge_backup.judge_verification(parsed("verification", "debian-13"), 1))
    passed(judge_backup.judge_verification(parsed("verification", "debian-12"), 1))
    failed(
        judge_backup.judge_verification(parsed("verification", "object-flipped"), 1),
        "status error",
        "2884 of 2886 files",
        "checksum invalid: 1",
    )
    lost = parsed("verification", "wrong-passphrase")
    failed(judge_backup.judge_verification(lost, 1), "No usable backup.info file")
    nothing = replace(parsed("verification", "debian-13"), wal_checked=0, wal_valid=0)
    failed(judge_backup.judge_verification(nothing, 1), "0 of 0 WAL segments")


# 9 page corruption


def test_page_errors_come_from_info_alone() -> None:
    sound, corrupt = parsed("backup_info", "debian-13"), parsed("backup_info", "page-errors")
    passed(judge_backup.judge_page_errors(sound, data_checksums=True))
    failed(judge_backup.judge_page_errors(corrupt, data_checksums=True), "page errors in")
    blind = judge_backup.judge_page_errors(sound, data_checksums=False)
    assert blind.status is Status.NOT_APPLICABLE
    silent = replace(sound, backups=tuple(replace(b, page_errors=None) for b in sound.backups))
    unknown = judge_backup.judge_page_errors(silent, data_checksums=True)
    assert unknown.status is Status.UNKNOWN
    assert not unknown.good


# 10 too broad


def statement(action: str | list[str], resource: str, **more: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]}


BUCKET = f"arn:aws:s3:::{SETTINGS.backup.bucket}"


def test_the_least_policy_passes() -> None:
    own = policy_document(SETTINGS.backup)
    passed(judge_rights.judge_rights(SETTINGS.backup, {"p": own}, [], []))


@pytest.mark.parametrize(
    ("document", "word"),
    [
        (statement("*", "*"), "s3:DeleteBucket"),
        (statement("s3:*", f"{BUCKET}/live/*"), "s3:DeleteObjectVersion"),
        (statement("s3:DeleteObjectV*", f"{BUCKET}/live/*"), "s3:DeleteObjectVersion"),
        (statement("s3:PutLifecycleConfiguration", BUCKET), "s3:PutLifecycleConfiguration"),
        (statement(["s3:GetObject"], f"{BUCKET}/*"), "s3:GetObject on"),
        (statement(["s3:GetObject"], f"{BUCKET}/livestock/*"), "livestock"),
        (statement("s3:ListBucket", BUCKET), "lists the whole bucket"),
        ({"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}, "NotAction"),
    ],
)
def test_a_policy_that_is_too_broad_is_named(document: dict[str, Any], word: str) -> None:
    failed(judge_rights.judge_rights(SETTINGS.backup, {"p": document}, [], []), word)


def test_other_ways_to_rights_are_named() -> None:
    own: dict[str, dict[str, Any] | None] = {"p": policy_document(SETTINGS.backup)}
    failed(judge_rights.judge_rights(SETTINGS.backup, own, ["AdministratorAccess"], []), "Admin")
    failed(judge_rights.judge_rights(SETTINGS.backup, own, [], ["ops"]), "ops")
    failed(judge_rights.judge_rights(SETTINGS.backup, {}, [], []), "no policy")
    keys = [AccessKey("a", active=True), AccessKey("b", active=True)]
    passed(judge_rights.judge_keys(SETTINGS.backup, keys[:1]))
    failed(judge_rights.judge_keys(SETTINGS.backup, keys), "2 active")


# the arithmetic


def test_the_recovery_point_is_bounded_or_not_known() -> None:
    passed(judge_archive.judge_recovery_point(60, 0.5, 900))
    failed(judge_archive.judge_recovery_point(900, 0.5, 900), "900.5 s")
    failed(judge_archive.judge_recovery_point(0, 0.5, 900), "archive_timeout 0")
    assert judge_archive.judge_recovery_point(60, None, 900).status is Status.UNKNOWN
