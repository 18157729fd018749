"""What a killed run of faults left is found by its dead process, and nothing else is touched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chronos_ops.faults import laboratory
from chronos_ops.model.errors import ChronosError


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_labs_of_dead_processes_are_removed_and_those_of_living_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    monkeypatch.setattr(laboratory, "outputs_dir", lambda: tmp_path)
    monkeypatch.setattr(laboratory, "call", lambda words, log: called.append(" ".join(words)))
    gone, mine = f"flt-{dead_pid()}-01", f"flt-{os.getpid()}-02"
    for name in (gone, mine, "flt-1-01", "lab", "flt-x"):
        (tmp_path / name).mkdir()
    assert laboratory.clear(tmp_path / "log", own=False) == [gone]
    assert called == [f"lab down --name {gone}"]
    assert {path.name for path in tmp_path.iterdir()} == {mine, "flt-1-01", "lab", "flt-x"}
    assert laboratory.clear(tmp_path / "log", own=True) == [mine]


def test_a_command_that_fails_says_so_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(ChronosError, match="exit status 2") as raised:
        laboratory.call(["run", "no-such-runbook", "--target", "x"], tmp_path / "logs" / "x.log")
    assert "unknown runbook" in raised.value.text()
