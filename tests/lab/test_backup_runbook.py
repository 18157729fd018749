"""The backup runbook on a real host: once whole, then nothing left to do, then each fault named."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from chronos_ops import runner
from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill import backup_checks, host_checks
from chronos_ops.drill.backup_preflight import restore_preflight
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.manifest import differences
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.facts.lightsail_ports import open_ports
from chronos_ops.faults import objects
from chronos_ops.faults.fault import choose
from chronos_ops.faults.site import Site
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import UnfitTarget
from chronos_ops.model.finding import Status
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import load_settings
from chronos_ops.plans import backup
from chronos_ops.runbook_stage import carry_out, make_plan

pytestmark = pytest.mark.lab
RUNBOOK = "pgbackrest_backup_restore"
Shell = Callable[..., Any]


@pytest.fixture(scope="module")
def context(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """What a running runbook holds, for single stages and steps."""
    settings = load_settings(lab.name)
    folder = tmp_path_factory.mktemp("run")
    journal = FileJournal(folder, Redactor())
    aws = Aws(settings.aws, journal)
    given = {"target": lab.name, "allow_restart": True, "pitr_test": False}
    found = Context(
        run_id=folder.name,
        folder=folder,
        settings=settings,
        parameters=parse_parameters(RUNBOOK, given),
        journal=journal,
        aws=aws,
        ssh=Ssh(declared_host(settings, aws), journal),
    )
    yield found
    found.close()


def traces(context: Context, shell: Shell) -> dict[str, Any]:
    """All that the runbook could have touched."""
    look = (
        "sudo find /etc /usr/local /var/lib/chronos-backup /var/lib/postgresql/*/main/PG_VERSION "
        "/var/lib/postgresql/*/main/postmaster.pid -type f -exec sha256sum {} + 2>/dev/null | sort"
    )
    archive = context.settings.archive  # a dry run too is kept as evidence
    evidence = archive.bucket if archive else None
    buckets = [b["Name"] for b in context.aws.call("s3", "list_buckets")["Buckets"]]
    policy = context.aws.call("iam", "list_users")["Users"]
    parameters = context.aws.call("ssm", "describe_parameters")["Parameters"]
    return {
        "files": shell("db", look, check=False).stdout,
        "roles": shell("db", "sudo -u postgres psql -Atc 'table pg_roles'").stdout,
        "buckets": [name for name in buckets if name != evidence],
        "users": sorted(user["UserName"] for user in policy),
        "secrets": sorted(parameter["Name"] for parameter in parameters),
        "ports": context.ask(open_ports(context.settings.host.instance)),
    }


def changes(result: Result, kind: str) -> int:
    return sum(v[kind] for k, v in result.measures.items() if k.startswith("changes."))


@pytest.fixture(scope="module")
def configured(lab: LabStatus, context: Context, shell: Shell) -> Iterator[Result]:
    """The dry run, then the whole runbook, headlessly."""
    before = traces(context, shell)
    planned = runner.run(RUNBOOK, lab.name, {"pitr_test": "false"}, plan=True)
    assert planned.verdict is Verdict.PLANNED
    assert traces(context, shell) == before
    assert changes(planned, "applied") == 0
    given = {"pitr_test": "true", "allow_restart": "true"}
    done = runner.run(RUNBOOK, lab.name, given, approve=lab.name)
    assert done.verdict is Verdict.PASSED, done.reasons
    assert changes(done, "planned") == changes(done, "applied")
    assert changes(done, "applied") in (0, changes(planned, "planned"))
    yield done
    for result in (planned, done):
        shutil.rmtree(outputs_dir() / lab.name / result.run_id)


def test_the_runbook_passes_and_every_check_is_proven(configured: Result) -> None:
    by_id = {finding.id: finding for finding in configured.findings}
    assert all(finding.good for finding in configured.findings)
    for proven in (
        "access.tls",
        "access.plain-refused",
        "backup.archive.reaches-repo1",
        "backup.archive.reaches-repo2",
        "backup.pgbackrest-check",
        "backup.repo1.verified",
        "backup.repo2.verified",
        "backup.timer.diff",
        "backup.config-files",
        "backup.rights.least",
        "backup.passphrase-outside",
        "backup.objective.recovery-point",
        "backup.pitr.before-present",
        "backup.pitr.after-absent",
        "backup.objective.recovery-time",
    ):
        assert by_id[proven].status is Status.PASS, by_id[proven]


@pytest.mark.usefixtures("configured")
def test_a_second_run_finds_nothing_to_do(context: Context) -> None:
    for stage in backup.STAGES:
        plan = make_plan(stage, context)
        assert plan.empty, (stage.name, [c.title for c in plan.changes])
        assert plan.noop_reason
        assert not plan.refusals


@pytest.mark.usefixtures("configured")
def test_other_eyes_see_the_same(context: Context, shell: Shell) -> None:
    asked = "SELECT name || '=' || setting FROM pg_settings WHERE name LIKE 'archive_%' ORDER BY 1"
    said = shell("db", f'sudo -u postgres psql -Atc "{asked}"').stdout
    assert "archive_mode=on" in said
    assert "archive_timeout=60" in said
    info = shell("db", "sudo -u postgres pgbackrest info").stdout
    assert info.count("full backup") == 2
    assert "diff backup" in info
    assert "cipher: aes-256-cbc" in info
    timers = shell("db", "systemctl list-timers 'chronos-backup-*' --no-pager").stdout
    assert "3 timers listed" in timers
    mode = shell("db", "stat -c '%a %U' /etc/pgbackrest/pgbackrest.conf").stdout.split()
    assert mode == ["640", "postgres"]
    kept = "sudo ls /var/lib/postgresql/17/main/chronos_etc"
    assert "pg_hba.conf" in shell("db", kept).stdout
    bucket = context.settings.backup.bucket
    keys = context.aws.call("s3", "list_objects_v2", Bucket=bucket)["Contents"]
    assert {key["Key"].split("/")[0] for key in keys} == {"live", "long-term"}


@pytest.mark.usefixtures("configured")
def test_the_hosts_key_can_do_no_more_than_it_needs(context: Context, shell: Shell) -> None:
    """Tried with the key itself, against an endpoint that enforces IAM."""
    settings = context.settings
    backup_ = settings.backup
    key, secret = (
        context.aws.get_secret(f"{backup_.host_key_secret}/{part}").reveal()
        for part in ("id", "secret")
    )
    import boto3
    from botocore.exceptions import ClientError

    s3 = cast(Any, boto3).client(
        "s3",
        endpoint_url=settings.aws.endpoint_url,
        verify=settings.aws.ca_file,
        region_name=settings.aws.region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )
    bucket = {"Bucket": backup_.bucket}
    mine = s3.list_objects_v2(**bucket, Prefix="live/")["Contents"][0]["Key"]
    s3.put_object(**bucket, Key="live/probe", Body=b"x")
    version = s3.put_object(**bucket, Key="live/probe", Body=b"y").get("VersionId", "null")
    s3.delete_object(**bucket, Key="live/probe")
    assert s3.get_object(**bucket, Key=mine)["Body"].read()
    attempts: list[Callable[[], Any]] = [
        lambda: s3.delete_object(**bucket, Key="live/probe", VersionId=version),
        lambda: s3.list_objects_v2(**bucket),
        lambda: s3.put_object(**bucket, Key="elsewhere/x", Body=b"x"),
        lambda: s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Suspended"}),
        lambda: s3.delete_bucket_lifecycle(**bucket),
        lambda: s3.delete_bucket(**bucket),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as refused:
            attempt()
        assert refused.value.response["Error"]["Code"] == "AccessDenied"


# -- faults: each is named by a finding, then taken back


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_checks, "ARRIVAL_SECONDS", 3.0)


def bad(outcome: Outcome) -> set[str]:
    return {finding.id for finding in outcome.findings if not finding.good}


def apply(context: Context, *stages: Any) -> None:
    for stage in stages:
        carry_out(stage, context, lambda plan, text: None)


@contextmanager
def struck(context: Context, *names: str) -> Iterator[Site]:
    """Faults of the catalogue; afterwards undone as they say it."""
    site, chosen = Site(context), choose([*names])
    for fault in chosen:
        fault.inject(site)
    try:
        yield site
    finally:
        for fault in reversed(chosen):
            fault.undo(site)


@pytest.mark.usefixtures("configured", "impatient")
def test_an_archiver_that_stores_nothing_is_named(context: Context) -> None:
    """Failure 1: failed_count stays 0, and the segment is nowhere."""
    with struck(context, "archive_command_noop"):
        found = bad(backup_checks.archive_check(context))
        refusals = make_plan(backup.ARCHIVING, context).refusals
    assert {
        "backup.archive.command",
        "backup.archive.reaches-repo1",
        "backup.archive.reaches-repo2",
        "backup.pgbackrest-check",
        "backup.objective.recovery-point",
    } <= found
    assert "backup.archive.backlog" not in found
    assert any("ALTER SYSTEM RESET archive_command" in text for text in refusals)
    assert not bad(backup_checks.archive_check(context))


@pytest.mark.usefixtures("configured")
def test_a_broken_target_fails_the_run_and_its_evidence_stays(
    lab: LabStatus, context: Context
) -> None:
    """What is found is no wrong usage: exit 1, a sealed folder, and the reason in it."""
    with struck(context, "archive_command_noop"):
        planned = runner.run(RUNBOOK, lab.name, {"pitr_test": "false"}, plan=True)
        result = runner.run(RUNBOOK, lab.name, {"pitr_test": "false"}, approve=lab.name)
    assert (planned.verdict, planned.verdict.exit_status) == (Verdict.FAILED, 1)
    assert planned.reasons[0].startswith("would be refused: ")
    assert "ALTER SYSTEM RESET archive_command" in planned.reasons[0]
    shutil.rmtree(outputs_dir() / lab.name / planned.run_id)
    folder = outputs_dir() / lab.name / result.run_id
    assert (result.verdict, result.verdict.exit_status) == (Verdict.FAILED, 1)
    assert any("UnfitTarget" in text and "'/bin/true'" in text for text in result.reasons)
    assert (folder / "result.json").is_file()
    assert differences(folder) == []
    shutil.rmtree(folder)


@pytest.mark.usefixtures("configured")
def test_another_passphrase_is_refused_and_the_live_configuration_stays(context: Context) -> None:
    """Failure 6, before anything is overwritten."""
    config = ["sha256sum", "/etc/pgbackrest/pgbackrest.conf"]
    before = context.ssh.run(config, sudo=True).stdout
    with (
        struck(context, "passphrase_replaced"),
        pytest.raises(UnfitTarget, match="another passphrase than"),
    ):
        apply(context, backup.PGBACKREST_CONFIG)
    assert context.ssh.run(config, sudo=True).stdout == before
    assert make_plan(backup.PGBACKREST_CONFIG, context).empty


@pytest.mark.usefixtures("configured", "impatient")
def test_a_lost_policy_piles_wal_up_and_is_named(context: Context) -> None:
    """Failure 2; the stages bring the rights back."""
    with struck(context, "archive_policy_lost"):
        outcome = backup_checks.archive_check(context)
        assert {"backup.archive.reaches-repo1", "backup.pgbackrest-check"} <= bad(outcome)
        by_id = {f.id: f for f in outcome.findings}
        assert by_id["backup.archive.continuous-repo1"].status is Status.ERROR
        assert "backup.rights.least" in bad(host_checks.rights_check(context))
        verified = backup_checks.verify_repositories(context)
        assert {"backup.repo1.usable", "backup.repo1.verified"} <= bad(verified)
    assert not bad(backup_checks.archive_check(context))


@pytest.mark.usefixtures("configured")
def test_a_missing_segment_is_named_and_its_version_brings_it_back(context: Context) -> None:
    """Failure 3, which `verify` does not see."""
    assert not bad(backup_checks.restore_points(context))
    with struck(context, "wal_segment_missing") as site:
        finding = backup_checks._continuity(context, 1)
        assert finding.status is Status.FAIL
        assert site.kept["segment"] in finding.observed
    assert backup_checks._continuity(context, 1).status is Status.PASS


@pytest.mark.usefixtures("configured")
def test_a_flipped_object_and_a_frozen_and_a_lost_info_file_are_named(context: Context) -> None:
    """Failures 8 and 5, each in one reading of the repositories."""
    with struck(context, "object_flipped"):
        assert bad(backup_checks.verify_repositories(context)) == {"backup.repo1.verified"}
    with struck(context, "archive_info_frozen"):
        assert "backup.repo1.storage-class" in bad(backup_checks.verify_repositories(context))
    with struck(context, "backup_info_deleted"):
        assert "backup.repo1.info-files" in bad(backup_checks.verify_repositories(context))
    assert not bad(backup_checks.verify_repositories(context))


@pytest.mark.usefixtures("configured")
def test_what_a_restore_would_miss_is_named_before_it_is_needed(context: Context) -> None:
    """Failures 3, 5 and 6, as a restore would meet them; the control is green before and after."""
    assert not bad(restore_preflight(context))
    info = backup_checks._stanza(context)
    full, newest = info.of_repo(1, "full")[0], info.of_repo(1)[-1]
    site, sets = Site(context), objects.live(Site(context), "backup")
    (cut,) = objects.keys_below(site, f"{sets}/{newest.label}/pg_data/backup_label")
    try:
        objects.overwrite(site, cut, objects.read(site, cut)[:-1])
        assert "restore.repo1.sizes" in bad(restore_preflight(context))
        manifests = objects.keys_below(site, f"{sets}/{newest.label}/backup.manifest")
        wal = objects.keys_below(site, objects.live(site, "archive"), f"/{full.wal_stop}-")
        objects.delete(site, [*objects.keys_below(site, f"{sets}/{full.label}/bundle/"), *wal])
        objects.delete(site, [key for key in manifests if not key.endswith(".copy")])
        for key in objects.keys_below(site, "long-term/backup/", "/bundle/"):
            objects.overwrite(site, key, StorageClass="DEEP_ARCHIVE")
        found = {f.id: f.observed for f in restore_preflight(context).findings if not f.good}
    finally:
        objects.bring_back(site)
    assert set(found) >= {
        "restore.repo1.objects",
        "restore.repo1.manifests",
        "restore.repo1.wal",
        "restore.repo2.readable-now",
    }
    assert "only backup.manifest.copy is left" in found["restore.repo1.manifests"]
    assert str(full.wal_stop) in found["restore.repo1.wal"]
    with struck(context, "passphrase_wrong"):
        assert "restore.repo1.passphrase" in bad(restore_preflight(context))
    assert not bad(restore_preflight(context))


@pytest.mark.usefixtures("configured")
def test_a_disabled_timer_a_failed_job_and_a_drifted_file_are_named_and_mended(
    context: Context, shell: Shell
) -> None:
    """Failure 7."""
    (timer,) = choose(["timer_disabled"])
    timer.inject(Site(context))
    shell("db", "sudo chmod 0644 /etc/pgbackrest/pgbackrest.conf")
    shell("db", "sudo -u postgres touch /etc/postgresql/17/main/conf.d/70-new.conf")
    assert bad(backup_checks.schedule_check(context)) == {
        timer.finding,
        "backup.config-files",
    }
    assert [c.id for c in make_plan(backup.PGBACKREST_CONFIG, context).changes] == [
        "pgbackrest.config"
    ]
    apply(context, backup.TIMERS, backup.PGBACKREST_CONFIG)
    shell("db", "sudo rm /etc/postgresql/17/main/conf.d/70-new.conf")
    assert not bad(backup_checks.schedule_check(context))


@pytest.mark.usefixtures("configured")
def test_rights_that_grew_and_another_passphrase_are_named(context: Context) -> None:
    """Failures 10 and 6."""
    with struck(context, "rights_too_broad", "passphrase_wrong"):
        assert bad(host_checks.rights_check(context)) == {
            "backup.rights.least",
            "backup.passphrase-outside",
        }
    with struck(context, "passphrase_lost"):
        assert bad(host_checks.rights_check(context)) == {"backup.passphrase-outside"}
    assert not bad(host_checks.rights_check(context))


def job_ends(context: Context) -> list[str]:
    answer = context.ssh.run(["cat", "/var/lib/chronos-backup/jobs.log"], sudo=True)
    return [line.split(" ", 1)[1] for line in answer.stdout.splitlines()]


@pytest.mark.usefixtures("configured")
def test_after_a_downtime_all_catch_up_and_the_full_goes_first(
    context: Context, shell: Shell
) -> None:
    """B6, with systemd and pgBackRest themselves: every timer elapsed while the host was off."""
    before = len(job_ends(context))
    timers = [f"chronos-backup-{kind}.timer" for kind in ("diff", "long-term", "full")]
    stamps = " ".join(f"/var/lib/systemd/timers/stamp-{timer}" for timer in timers)
    shell("db", f"sudo systemctl stop {' '.join(timers)}; sudo touch -d '8 days ago' {stamps}")
    shell("db", f"sudo systemctl start --no-block {' '.join(timers)}")
    deadline = time.monotonic() + 90
    while len(ends := job_ends(context)[before:]) < 3:
        assert time.monotonic() < deadline, ends
        time.sleep(0.2)
    assert ends[0].startswith("full done in")
    assert {end.split()[0] for end in ends} == {"full", "diff", "long-term"}
    assert all("done in" in end for end in ends)
    assert not bad(backup_checks.schedule_check(context))


def test_a_run_left_its_evidence(lab: LabStatus, configured: Result) -> None:
    folder = outputs_dir() / lab.name / configured.run_id
    secret = load_settings(lab.name)
    passphrase = Aws(secret.aws).get_secret(secret.backup.cipher_secret).reveal()
    for path in folder.rglob("*"):
        if path.is_file():
            assert passphrase.encode() not in path.read_bytes(), path
    assert (folder / "logs" / "pgbackrest-check.log").is_file()
    chart = (folder / "charts" / "restore-points-chart.svg").read_text()
    assert "repo1" in chart
    assert "repo2" in chart
