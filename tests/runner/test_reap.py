"""What runs have left is removed; what is not theirs, young, or under way is left alone (D4)."""

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.evidence.folder import make_folder, target_lock
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.manifest import differences, write_manifest
from chronos_ops.evidence.record import RESULT, read_result
from chronos_ops.execution.rollback import pending_resources
from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.plan import CallAws, Deed
from chronos_ops.model.result import Verdict
from chronos_ops.runner_reap import reap
from tests.execution.test_provision import FakeAws
from tests.runner.probing import RUNBOOK, settings


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


def test_a_teardown_that_failed_is_tried_again_and_the_record_stays_whole(tmp_path: Path) -> None:
    folder = left_run(tmp_path)
    (folder / RESULT).write_text("{}")
    write_manifest(folder, ())
    assert reaped(tmp_path, FakeAws())[0] == []
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
