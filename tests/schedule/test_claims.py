"""One run for each slot, by real processes; what a killed one leaves is never run again unasked."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chronos_ops.model.errors import Refused, TransportError
from chronos_ops.schedule.claims import Claims, NeedsHuman, Taken

SLOT = datetime(2026, 11, 22, 4, tzinfo=UTC)
LATER = datetime(2026, 11, 29, 4, tzinfo=UTC)
RUNBOOK = "disaster_recovery"
CLAIMER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from chronos_ops.schedule.claims import Claims, Taken
folder, hold = Path(sys.argv[1]), sys.argv[2] == "hold"
while not (folder / "go").exists():
    pass
try:
    with Claims(folder).claimed("disaster_recovery", datetime(2026, 11, 22, 4, tzinfo=UTC)) as held:
        if sys.argv[3:]:
            held.begun(sys.argv[3])
        print("mine", flush=True)
        if hold:
            time.sleep(600)
        held.end("passed")
except Taken:
    print("taken", flush=True)
"""


def claimer(folder: Path, *words: str) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", CLAIMER, str(folder), *words]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def killed(folder: Path, run_id: str = "") -> None:
    """A claim of a process that was killed in its midst."""
    folder.mkdir(exist_ok=True)
    (folder / "go").touch()
    process = claimer(folder, "hold", *([run_id] if run_id else []))
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    [claim] = Claims(folder).all()
    assert Claims(folder).state(claim) == "running"
    process.kill()
    process.wait(10)
    process.stdout.close()


def test_of_eight_processes_at_once_one_has_the_slot(tmp_path: Path) -> None:
    processes = [claimer(tmp_path, "end") for _ in range(8)]
    (tmp_path / "go").touch()
    said = sorted(process.communicate(timeout=60)[0].strip() for process in processes)
    assert said == ["mine", *["taken"] * 7]
    [claim] = Claims(tmp_path).all()
    assert Claims(tmp_path).state(claim) == "passed"


def test_a_slot_that_ran_is_not_run_again_and_the_next_one_is(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    with claims.claimed(RUNBOOK, SLOT) as held:
        held.end("failed")
    with pytest.raises(Taken, match="failed"), claims.claimed(RUNBOOK, SLOT):
        pytest.fail("a second run")
    with claims.claimed(RUNBOOK, LATER) as held:
        held.end("passed")
    assert [claims.state(claim) for claim in claims.all()] == ["failed", "passed"]


def test_why_nothing_was_run_is_kept(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    with pytest.raises(Refused), claims.claimed(RUNBOOK, SLOT):
        raise Refused("a run on target 'probe' is under way")
    with pytest.raises(TransportError), claims.claimed(RUNBOOK, LATER):
        raise TransportError("the host went away")
    refused, broken = claims.all()
    assert claims.state(refused) == "not run: a run on target 'probe' is under way"
    assert broken.end == ""  # what it touched is not known


def test_a_killed_run_is_not_known_and_blocks_until_it_is_reaped(tmp_path: Path) -> None:
    killed(tmp_path)
    draft = tmp_path / ".claims" / ".20261122T040000Z-disaster_recovery.999999999"
    draft.write_text("{")
    claims = Claims(tmp_path)
    assert [claims.state(claim) for claim in claims.all()] == ["unknown, needs a human"]
    for slot in (SLOT, LATER):
        with pytest.raises(NeedsHuman, match="chronos reap"), claims.claimed(RUNBOOK, slot):
            pytest.fail("a silent retry")
    assert claims.free() == ["20261122T040000Z-disaster_recovery"]
    assert not draft.exists()
    assert [claims.state(claim) for claim in claims.all()] == [
        "aborted: killed before its run began"
    ]
    with claims.claimed(RUNBOOK, LATER) as held:
        held.end("passed")


def test_a_begun_run_is_freed_by_its_own_verdict_only(tmp_path: Path) -> None:
    killed(tmp_path, "run-1")
    run, claims = tmp_path / "run-1", Claims(tmp_path)
    run.mkdir()
    assert claims.free() == []
    assert len(claims.stale()) == 1
    (run / "result.json").write_text(json.dumps({"verdict": "aborted"}))
    assert claims.stale() == []
    assert [claims.state(claim) for claim in claims.all()] == ["aborted"]


def test_a_number_that_another_process_has_now_is_not_the_claimer(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    with claims.claimed(RUNBOOK, SLOT):
        pass
    [path] = (tmp_path / ".claims").glob("*.json")
    data = json.loads(path.read_text())
    [claim] = claims.all()
    assert claims.state(claim) == "running"
    for changed in ({"start": data["process"]["start"] - 1}, {"boot": "another"}):
        path.write_text(json.dumps({**data, "process": {**data["process"], **changed}}))
        [claim] = claims.all()
        assert claims.state(claim) == "unknown, needs a human"
