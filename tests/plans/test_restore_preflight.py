"""Could it be restored? A real repository's answers; each harm is named by its finding."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.facts import backups, manifest, repository_reads, s3
from chronos_ops.facts.manifest import Manifests
from chronos_ops.facts.s3 import StoredObject
from chronos_ops.facts.wal_archive import History
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.question import ShellAnswer
from chronos_ops.model.recovery_target import RecoveryTarget, at_time
from chronos_ops.model.wal import Lsn
from chronos_ops.plans.judge_restore import judge_repository, judge_without_sets
from chronos_ops.plans.restore_needs import Holdings, needed_objects, needed_reads, needed_wal

RECORDED = json.loads((Path(__file__).parent / "recorded/restore_preflight.json").read_text())
FULL, DIFF = "20261123-091653F", "20261123-091653F_20261123-091658D"
WAL = "archive/chronos/17-1/0000000100000000/"
Damage = Callable[[dict[str, StoredObject]], None]


def answer(text: str) -> ShellAnswer:
    return ShellAnswer(0, text)


def listed() -> dict[str, StoredObject]:
    contents = [
        item | {"LastModified": datetime.fromisoformat(item["LastModified"])}
        for item in RECORDED["objects"]
    ]
    found = s3.objects("bucket", "live").parse({"Contents": contents})
    return {item.key.removeprefix("live/"): item for item in found}


def asked(said: Mapping[str, Any] = RECORDED, **changed: Any) -> Holdings:
    info = backups.info("chronos").parse(answer(RECORDED["info"]))
    assert info is not None
    labels = [item.label for item in info.of_repo(1)]
    found = Holdings(
        repo=1,
        stanza="chronos",
        archive_id="17-1",
        objects=listed(),
        sets=info.of_repo(1)[:2],
        manifests=manifest.manifests("chronos", 1, labels).parse(answer(said["manifests"])),
    )
    wanted = needed_reads(asked()) if said is not RECORDED else needed_reads(found)
    seen = repository_reads.reads("chronos", 1, wanted).parse(answer(said["reads"]))
    return replace(replace(found, reads=seen), **changed)


def damaged(damage: Damage, **changed: Any) -> dict[str, Finding]:
    objects = listed()
    damage(objects)
    return judged(asked(objects=objects, **changed))


def judged(holdings: Holdings) -> dict[str, Finding]:
    found = {finding.id: finding for finding in judge_repository(holdings)}
    for finding in found.values():
        assert finding.good or finding.hint, finding
    return found


def bad(found: Mapping[str, Finding]) -> set[str]:
    return {name.removeprefix("restore.repo1.") for name, f in found.items() if not f.good}


def path_of(objects: Mapping[str, StoredObject], fragment: str) -> str:
    return next(path for path in objects if fragment in path)


def test_a_whole_repository_passes_every_check() -> None:
    found = judged(asked())
    assert {finding.status for finding in found.values()} == {Status.PASS}
    assert "segments, up to 0000000100000000000000" in found["restore.repo1.wal"].observed
    assert found["restore.repo1.key"].observed == "6 objects read"


def test_sizes_of_bundles_are_exact_where_the_set_itself_tells() -> None:
    needs = {need.path: need for need in needed_objects(asked())}
    bundle = needs[f"backup/chronos/{FULL}/bundle/2"]
    assert (bundle.size, bundle.exact) == (208656, True)
    lost = Manifests({DIFF: asked().manifests.read[DIFF]}, {FULL: "exit code 55"})
    needs = {need.path: need for need in needed_objects(asked(manifests=lost))}
    bundle = needs[f"backup/chronos/{FULL}/bundle/2"]
    assert (bundle.size, bundle.exact) == (208456, False)  # the last file in it is not referenced


def drop(fragment: str) -> Damage:
    def damage(objects: dict[str, StoredObject]) -> None:
        del objects[path_of(objects, fragment)]

    return damage


def resize(fragment: str, change: Callable[[int], int]) -> Damage:
    def damage(objects: dict[str, StoredObject]) -> None:
        path = path_of(objects, fragment)
        objects[path] = replace(objects[path], size=change(objects[path].size))

    return damage


def freeze(fragment: str, storage_class: str) -> Damage:
    def damage(objects: dict[str, StoredObject]) -> None:
        path = path_of(objects, fragment)
        objects[path] = replace(objects[path], storage_class=storage_class)

    return damage


@pytest.mark.parametrize(
    ("damage", "named", "word"),
    [
        (drop(f"{FULL}/bundle/1"), "objects", f"{FULL}/bundle/1"),
        (drop(f"{DIFF}/bundle/1"), "objects", f"{DIFF}/bundle/1"),
        (resize(f"{FULL}/bundle/2", lambda n: n - 1), "sizes", "208655 bytes instead of 208656"),
        (resize(f"{FULL}/bundle/2", lambda n: n + 1), "sizes", "208657 bytes"),
        (resize(f"{DIFF}/pg_data/backup_label", lambda n: 0), "sizes", "0 bytes instead of 208"),
        (resize("000000010000000000000005-", lambda n: 0), "sizes", "no whole segment"),
        (resize("000000010000000000000005-", lambda n: n - 1), "sizes", "no whole segment"),
        (drop(f"{DIFF}/backup.manifest"), "manifests", "only backup.manifest.copy is left"),
        (drop("backup/chronos/backup.info"), "info-files", "backup/chronos/backup.info"),
        (drop("archive/chronos/archive.info"), "info-files", "archive/chronos/archive.info"),
        (drop("backup.info.copy"), "info-files", "backup.info.copy"),
        (resize("backup/chronos/backup.info", lambda n: 0), "info-files", "backup.info"),
        (drop("000000010000000000000005-"), "wal", "000000010000000000000005 missing"),
        (drop("000000010000000000000003-"), "wal", "000000010000000000000003 missing"),
        (freeze(f"{FULL}/bundle/1", "DEEP_ARCHIVE"), "readable-now", "(DEEP_ARCHIVE)"),
        (freeze("000000010000000000000005-", "GLACIER"), "readable-now", "(GLACIER)"),
        (freeze(f"{FULL}/backup.manifest", "DEEP_ARCHIVE"), "readable-now", "backup.manifest"),
    ],
)
def test_each_harm_is_named_by_one_finding(damage: Damage, named: str, word: str) -> None:
    found = damaged(damage)
    assert bad(found) == {named}
    assert word in found[f"restore.repo1.{named}"].observed


def test_a_class_that_is_read_at_once_and_a_thawed_copy_are_no_harm() -> None:
    for storage_class in ("GLACIER_IR", "STANDARD_IA"):
        assert not bad(damaged(freeze(f"{FULL}/bundle/1", storage_class)))

    def thaw(objects: dict[str, StoredObject]) -> None:
        path = path_of(objects, f"{FULL}/bundle/1")
        until = datetime(2099, 1, 1, tzinfo=UTC)
        objects[path] = replace(objects[path], storage_class="GLACIER", thawed_until=until)

    assert not bad(damaged(thaw))


def test_frozen_sets_are_said_and_not_passed_over() -> None:
    found = judged(asked(frozen_sets=["20260101-000000F"]))
    assert "1 older sets are frozen by design: they need a thaw" in (
        found["restore.repo1.readable-now"].observed
    )


def test_a_full_that_is_gone_with_all_its_objects() -> None:
    objects = {path: o for path, o in listed().items() if f"/{FULL}/" not in path}
    lost = Manifests({DIFF: asked().manifests.read[DIFF]}, {FULL: "exit code 55: missing"})
    found = judged(asked(objects=objects, manifests=lost))
    assert {"references", "objects", "manifests"} <= bad(found)
    assert found["restore.repo1.references"].observed.startswith(f"{DIFF} needs {FULL}")


@pytest.mark.parametrize(("wrong", "named"), [("passphrase", "passphrase"), ("key", "key")])
def test_a_wrong_passphrase_and_a_wrong_key_are_told_apart(wrong: str, named: str) -> None:
    found = judged(asked(RECORDED["wrong"][wrong]))
    failed = {n.removeprefix("restore.repo1.") for n, f in found.items() if f.status == "fail"}
    assert failed == {named, "manifests"}
    assert found["restore.repo1.objects"].status is Status.UNKNOWN


def test_bytes_that_are_not_those_that_were_written() -> None:
    holdings = asked()
    seen = [
        replace(each, sha1="0" * 40) if "bundle" in each.path else each for each in holdings.reads
    ]
    found = judged(replace(holdings, reads=seen))
    assert bad(found) == {"key"}
    assert "other bytes than the backup wrote" in found["restore.repo1.key"].observed


def test_a_segment_that_is_stored_twice_stops_recovery() -> None:
    def twice(objects: dict[str, StoredObject]) -> None:
        path = path_of(objects, "000000010000000000000005-")
        objects[f"{WAL}000000010000000000000005-{'0' * 40}.lz4"] = objects[path]

    found = damaged(twice)
    assert "stored twice: 000000010000000000000005" in found["restore.repo1.wal"].observed


def forked(objects: dict[str, StoredObject]) -> None:
    """A promotion at 0/8000100: from segment 8 on recovery reads timeline 2."""
    kept = dict(objects)
    for path, item in kept.items():
        name = path.removeprefix(WAL)[:24]
        if path.startswith(WAL) and name >= "000000010000000000000008":
            objects[path.replace("00000001000000", "00000002000000")] = item
            if name > "000000010000000000000008":
                del objects[path]
    objects["archive/chronos/17-1/00000002.history"] = replace(item, size=64)


HISTORY: Mapping[int, History] = {2: ((1, Lsn.parse("0/8000100")),)}


def test_recovery_is_followed_over_a_change_of_timeline() -> None:
    found = damaged(forked, histories=HISTORY)
    assert not bad(found)
    objects = listed()
    forked(objects)
    wal, lacking = needed_wal(asked(objects=objects, histories=HISTORY))
    names = [str(segment) for segment in wal]
    assert not lacking
    assert names[names.index("000000010000000000000007") + 1] == "000000020000000000000008"

    def hole(objects: dict[str, StoredObject]) -> None:
        forked(objects)
        del objects[path_of(objects, "/000000020000000000000008-")]

    found = damaged(hole, histories=HISTORY)  # timeline 1 has that segment too: not that one
    assert "000000020000000000000008 missing" in found["restore.repo1.wal"].observed


def test_a_history_that_is_gone_is_named() -> None:
    def lose(objects: dict[str, StoredObject]) -> None:
        forked(objects)
        del objects["archive/chronos/17-1/00000002.history"]

    found = damaged(lose)
    assert "00000002.history is not archived" in found["restore.repo1.wal"].observed


def test_a_gap_behind_the_target_is_no_harm() -> None:
    gone = drop("00000001000000000000000A-")
    moment = listed()[path_of(listed(), "000000010000000000000006-")].stored_at
    assert moment is not None
    before = at_time(moment - timedelta(milliseconds=1))
    assert bad(damaged(gone)) == {"wal"}
    assert not bad(damaged(gone, target=before))
    assert not bad(damaged(gone, target=RecoveryTarget("lsn", "0/9000000", lsn=Lsn(0x9000000))))
    assert not bad(damaged(gone, target=RecoveryTarget("immediate")))
    late = RecoveryTarget("lsn", "0/B000000", lsn=Lsn(0xB000000))
    assert bad(damaged(gone, target=late)) == {"wal"}


def test_a_position_that_is_not_archived_yet_is_a_gap() -> None:
    beyond = RecoveryTarget("lsn", "0/99000000", lsn=Lsn(0x99000000))
    assert bad(judged(asked(target=beyond))) == {"wal"}


def test_no_passphrase_leaves_the_host() -> None:
    assert "cipher-pass" not in RECORDED["manifests"]
    assert asked().encrypted
    assert "/^\\[cipher\\]/" in " ".join(manifest.manifests("s", 1, ["x"]).question.argv)  # type: ignore[union-attr]


def test_a_repository_in_which_no_set_is_seen_says_why() -> None:
    reads = {seen.path: seen for seen in asked(RECORDED["wrong"]["passphrase"]).reads}
    info = [seen for path, seen in reads.items() if path.endswith(".info")]
    blind = asked(sets=[], manifests=Manifests(), reads=info)
    found = {finding.id: finding.status for finding in judge_without_sets(blind)}
    assert found == {
        "restore.repo1.set": Status.FAIL,
        "restore.repo1.info-files": Status.PASS,
        "restore.repo1.key": Status.PASS,
        "restore.repo1.passphrase": Status.FAIL,
    }


def test_what_is_no_manifest_of_the_set_is_named() -> None:
    swapped = RECORDED["manifests"].replace(f"== {FULL} 0", "== 20200101-000000F 0", 1)
    swapped = swapped.replace("== 20200101", f"== {FULL} 0\n[backup]\nnonsense\n== 20200101", 1)
    found = manifest.manifests("chronos", 1, [FULL]).parse(answer(swapped))
    assert "another set" in found.failed["20200101-000000F"]
    finding = judged(asked(manifests=found))["restore.repo1.manifests"]
    assert finding.status is Status.FAIL
    assert f"{FULL}: not a manifest" in finding.observed
    with pytest.raises(UnreadableAnswer):
        manifest.manifests("chronos", 1, [FULL]).parse(answer(f"== {FULL} \n"))


def test_what_sets_build_upon_is_not_known_where_no_manifest_was_read() -> None:
    found = judged(asked(manifests=Manifests({}, {FULL: "exit code 55", DIFF: "exit code 55"})))
    assert found["restore.repo1.references"].status is Status.UNKNOWN


def test_a_read_that_was_not_answered_is_not_known() -> None:
    with pytest.raises(UnreadableAnswer):
        repository_reads.reads("chronos", 1, needed_reads(asked())).parse(answer("== 0 0 1 x \n"))
