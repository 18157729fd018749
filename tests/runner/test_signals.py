"""Signals, a killed runner, two runs at once, a full disk: each in a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chronos_ops.evidence.journal import read_journal
from chronos_ops.evidence.manifest import differences
from chronos_ops.evidence.record import read_result
from chronos_ops.evidence.steps import read_steps
from chronos_ops.model.result import Verdict
from chronos_ops.runner import execute
from tests.runner.probing import spec

REPOSITORY = Path(__file__).parents[2]


def start(folder: Path, kind: str, *wrapper: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*wrapper, sys.executable, "-m", "tests.runner.driving", str(folder), kind],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    )


def until(seen: Callable[[], bool], what: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def waiting(folder: Path) -> int:
    """The pid of the kernel's child, once the run waits in its cell."""
    mark = folder / "child"
    until(lambda: mark.is_file() and mark.read_text().isdigit(), "the cell waits")
    return int(mark.read_text())


def only_run(folder: Path) -> Path:
    (found,) = (folder / "outputs" / "probe").glob("*/parameters.json")
    return found.parent


SLOW = pytest.mark.lab  # needs no lab, but seconds that the fast suite does not have


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=SLOW)])
def test_a_signal_ends_the_run_tears_down_and_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, "waits")
    child = waiting(tmp_path)
    if number is signal.SIGTERM:  # meanwhile a second run on the same target is refused
        second = start(tmp_path, "good")
        _, said = second.communicate(timeout=40)
        assert second.returncode == 2
        assert f"pid {process.pid}" in said
    process.send_signal(number)
    _, said = process.communicate(timeout=40)
    folder = only_run(tmp_path)
    result = read_result(folder)
    assert process.returncode == 3
    assert result is not None
    assert result.verdict is Verdict.ABORTED
    assert result.reasons == [f"the run was ended from outside: {number.name}"]
    assert number.name in said
    assert read_steps(folder)["teardown"].status == "ok"
    assert [e.name for e in read_journal(folder) if e.event == "removed"] == ["thing/one"]
    assert "later" not in read_steps(folder)
    assert (folder / "executed.html").is_file()
    assert differences(folder) == []
    until(lambda: not alive(child), "the kernel's child has ended")


def test_a_killed_runner_is_torn_down_and_sealed_by_the_next_run(tmp_path: Path) -> None:
    process = start(tmp_path, "waits")
    child = waiting(tmp_path)
    killed = only_run(tmp_path)
    process.kill()
    process.wait(timeout=10)
    assert process.stderr is not None
    process.stderr.close()
    assert not (killed / "result.json").exists()
    result = execute(spec(tmp_path, [("look", "step", "run.step('look', good)")]))
    until(lambda: not alive(child), "what the kernel had started has ended with it")
    assert result.verdict is Verdict.PASSED
    sealed = read_result(killed)
    assert sealed is not None
    assert sealed.verdict is Verdict.ABORTED
    assert sealed.reasons[0] == "the run was ended from outside: its process was killed"
    assert [e.name for e in read_journal(killed) if e.event == "removed"] == ["thing/one"]
    assert differences(killed) == []


@pytest.mark.parametrize("kind", ["fills", pytest.param("shows", marks=SLOW)])
def test_a_full_disk_keeps_the_last_good_copy_and_does_not_pass(tmp_path: Path, kind: str) -> None:
    """On a file system of 12 MB, mounted in a namespace that ends with the process."""
    unshare = shutil.which("unshare")
    flags = ["-m"] if os.geteuid() == 0 else ["-U", "-r", "-m"]
    if unshare is None or subprocess.run([unshare, *flags, "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")
    saved = tmp_path / "saved"
    script = (
        f'mount -t tmpfs -o size=12m none "{tmp_path / "disk"}" || exit 99; "$@"; status=$?; '
        f'cp -r "{tmp_path / "disk"}" "{saved}"; exit $status'
    )
    (tmp_path / "disk").mkdir()
    process = start(tmp_path / "disk", kind, unshare, *flags, "sh", "-c", script, "sh")
    _, said = process.communicate(timeout=60)
    assert process.returncode in (1, 3), said
    folder = only_run(saved)
    result = read_result(folder)
    assert result is not None, said
    assert result.verdict in (Verdict.FAILED, Verdict.UNKNOWN)
    assert result.verdict.exit_status == process.returncode
    notebook = json.loads((folder / "executed.ipynb").read_text())
    ran = {c["id"] for c in notebook["cells"] if c.get("execution_count")}
    assert {"setup", "make" if kind == "fills" else "look"} <= ran
    if kind == "shows":
        assert any("executed notebook could not be written" in r for r in result.reasons)
    else:
        assert any("No space left" in reason for reason in result.reasons)
        assert [e.name for e in read_journal(folder) if e.event == "removed"] == ["thing/one"]
    assert not list(folder.glob("*.tmp"))
