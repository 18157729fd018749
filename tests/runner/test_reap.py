"""What runs have left is removed; what is not theirs, young, or under way is left alone (D4)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.evidence.archiving import is_sealed
from chronos_ops.evidence.folder import make_folder, target_lock
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.manifest import differences, write_manifest
from chronos_ops.evidence.record import (
    RESULT,
    Ending,
    build_result,
    read_result,
    write_result,
)
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.rollback import pending_resources
from chronos_ops.model.archive import Archive
from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.plan import CallAws, Deed
from chronos_ops.model.result import Verdict
from chronos_ops.runner import execute
from chronos_ops.runner_reap import reap
from chronos_ops.runner_unfinished import remember_kernel, seal_unfinished
from tests.execution.test_provision import FakeAws
from tests.runner.probing import RUNBOOK, settings, spec


def left_run(outputs: Path, *undo: Deed) -> Path:
    """A killed run that had made something."""
    run_id = "20261122T000000Z-backup-abc123"
    parameters = parse_parameters(RUNBOOK, {"target": "probe"})
    folder = make_folder(outputs, run_id, RUNBOOK, settings(), parameters)
    FileJournal(folder).resource("thing/one", undo)
    return folder


def reaped(outputs: Path, fake: FakeAws) -> tuple[list[str], str]:
    said: list[str] = []
    stayed = reap(settings(), outputs, said.append, cast(Aws, fake))
    return stayed, "\n".join(said)


def test_a_killed_run_is_torn_down_and_sealed(tmp_path: Path) -> None:
    folder = left_run(tmp_path)
    stayed, said = reaped(tmp_path, FakeAws())
    assert stayed == []
    assert "removed thing/one" in said
    result = read_result(folder)
    assert result is not None
    assert result.verdict is Verdict.ABORTED
    assert reaped(tmp_path, FakeAws()) == ([], "")  # a second time there is nothing


def test_a_run_killed_while_it_was_sealed_has_not_passed(tmp_path: Path) -> None:
    """Its result says passed, nothing vouches for it: the next start writes what is known."""
    folder = left_run(tmp_path)
    FileJournal(folder).removed("thing/one")
    passed = build_result(folder, [], Ending()).model_copy(update={"verdict": Verdict.PASSED})
    write_result(folder, passed, Redactor())
    (folder / ".reserve").write_bytes(b"0")
    (folder / ".manifest.json.tmp").write_text("{")
    assert reaped(tmp_path, FakeAws())[0] == []
    result = read_result(folder)
    assert result is not None
    assert result.verdict is Verdict.ABORTED
    assert differences(folder) == []
    assert list(folder.glob(".*")) == []


def test_a_run_killed_between_its_manifest_and_its_result_has_not_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nowhere on the way does a result say `passed` without the manifest that vouches for it."""

    def dies(path: Path, target: Path) -> None:
        if path.name == f".{RESULT}.tmp" and (path.parent / "manifest.json").exists():
            raise KeyboardInterrupt
        path.rename(target)

    chosen = spec(tmp_path, [("look", "step", "run.step('look', good)")])
    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        execute(chosen)
    monkeypatch.undo()
    (folder,) = (path.parent for path in tmp_path.rglob("manifest.json"))
    early = read_result(folder)
    assert early is not None
    assert early.verdict is Verdict.UNKNOWN
    seal_unfinished(folder.parent, settings(), print)
    sealed = read_result(folder)
    assert sealed is not None
    assert sealed.verdict is Verdict.ABORTED
    assert differences(folder) == []


def test_a_kernel_that_outlived_its_runner_makes_nothing_behind_the_teardown(
    tmp_path: Path,
) -> None:
    folder = left_run(tmp_path)
    kernel = subprocess.Popen(["sleep", "300"], start_new_session=True)
    remember_kernel(folder, kernel.pid)
    assert reaped(tmp_path, FakeAws())[0] == []
    assert kernel.wait(timeout=10) == -9
    assert list(folder.glob(".*")) == []


def test_a_number_that_another_process_has_now_is_not_killed(tmp_path: Path) -> None:
    folder = left_run(tmp_path)
    stranger = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        remember_kernel(folder, stranger.pid)
        mark = folder / ".kernel"
        known = json.loads(mark.read_text())
        mark.write_text(json.dumps({**known, "start": known["start"] - 1}))
        assert reaped(tmp_path, FakeAws())[0] == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_run_killed_before_it_was_archived_keeps_its_verdict_and_is_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    chosen = settings().model_copy(update={"archive": Archive()})
    folder = left_run(tmp_path)
    FileJournal(folder).removed("thing/one")
    write_result(folder, build_result(folder, [], Ending()), Redactor())
    write_manifest(folder)
    remember_kernel(folder, 1)
    (folder / ".kernel").write_text('{"boot": "another", "pid": 1, "start": 1}')
    before = (folder / "manifest.json").read_bytes()
    assert not is_sealed(folder, chosen)
    for _ in range(2):  # killed once more behind the entry: no second one
        assert seal_unfinished(folder.parent, chosen, print) == [folder.name]
        assert is_sealed(folder, chosen)
        assert not (folder / ".kernel").exists()
        (folder / ".kernel").write_text('{"boot": "another", "pid": 1, "start": 1}')
    assert len((folder.parent / "archive/index.jsonl").read_text().splitlines()) == 1
    assert (folder / "manifest.json").read_bytes() == before


def test_a_teardown_that_failed_is_tried_again_and_the_record_stays_whole(tmp_path: Path) -> None:
    folder = left_run(tmp_path)
    (folder / RESULT).write_text("{}")
    write_manifest(folder, ())
    assert reaped(tmp_path, FakeAws())[0] == []
    assert pending_resources(folder) == []
    assert differences(folder) == []


def test_the_next_run_tries_a_teardown_that_failed_again(tmp_path: Path) -> None:
    """Sealed as failed, with a resource left: nobody must know of `reap` for it to go (D4)."""
    chosen = spec(tmp_path, [("look", "step", "run.step('look', good)")])
    folder = left_run(chosen.outputs)
    write_result(folder, build_result(folder, [], Ending()), Redactor())
    write_manifest(folder, ())
    assert execute(chosen).verdict is Verdict.PASSED
    assert pending_resources(folder) == []
    assert differences(folder) == []


def test_what_stays_is_named(tmp_path: Path) -> None:
    left_run(tmp_path, CallAws(service="s3", operation="delete_bucket", arguments={"Bucket": "x"}))
    stayed, said = reaped(tmp_path, FakeAws())
    assert stayed == ["thing/one of 20261122T000000Z-backup-abc123"]
    assert "./chronos reap --target probe" in said


def test_forgotten_instances_alone_are_destroyed(tmp_path: Path) -> None:
    fake = FakeAws()
    fake.add("db", age_hours=1000)
    fake.add("young", "run-2", age_hours=1)
    fake.add("old", "run-1", age_hours=13)
    stayed, said = reaped(tmp_path, fake)
    assert stayed == []
    assert set(fake.instances) == {"db", "young"}
    assert "removed old of run run-1" in said
    assert "left alone: young" in said


def test_a_run_under_way_is_not_reaped(tmp_path: Path) -> None:
    folder = left_run(tmp_path)
    with target_lock(tmp_path, "probe"), pytest.raises(UsageError, match="under way"):
        reaped(tmp_path, FakeAws())
    assert pending_resources(folder)


def test_the_command_says_what_it_does_and_refuses_an_unknown_target() -> None:
    command = [sys.executable, "-m", "chronos_ops", "reap", "--target", "no-such"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no-such" in done.stderr
