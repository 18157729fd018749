"""A lab comes and goes without a trace, whatever kills it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_ops.lab import control, leftovers
from chronos_ops.lab.control import LabError, LabStatus
from chronos_ops.lab.places import places
from tests.lab.conftest import LAB
from tests.lab.machine import state_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A lab of this test alone."""
    own = f"{LAB}-own"
    monkeypatch.setenv("CHRONOS_LAB_USER_STATE", str(tmp_path))
    yield own
    control.down(own)


def test_two_ups_at_once_make_one_lab_and_down_leaves_nothing(
    name: str,
) -> None:
    before = state_of(name)
    assert not any(before.values())
    code = f"from chronos_ops.lab import control; control.up({name!r})"
    pair = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    assert [process.wait(timeout=120) for process in pair] == [0, 0]
    begun = time.monotonic()
    lab = control.up(name)  # nothing to do
    assert time.monotonic() - begun < 2
    assert lab.complete
    assert [host["name"] for host in lab.hosts] == ["project-chronos"]
    assert lab.host("db")["boots"] == 1
    during = state_of(name)
    for kind in ("cgroups", "links", "tables", "processes", "folders", "loops"):
        assert during[kind], kind

    begun = time.monotonic()
    control.down(name)
    down_seconds = time.monotonic() - begun
    print(f"down {down_seconds:.1f} s")
    assert down_seconds < 10  # 0.3 s seen
    assert state_of(name) == before
    assert not leftovers.traces(places(name))
    assert not lab.parameters.exists()
    assert not lab.user_dir.exists()


def test_what_kills_the_daemon_does_not_kill_the_lab(
    name: str,
) -> None:
    begun = time.monotonic()
    lab = control.up(name)
    up_seconds = time.monotonic() - begun
    print(f"up {up_seconds:.1f} s")
    assert up_seconds < 30  # 6 s seen on an idle machine
    assert control.ssh(name, "db", "echo kept | sudo tee /kept && sync") == 0

    _end_daemon(name, signal.SIGKILL)
    assert control.status(name) is None
    assert state_of(name)["cgroups"], "the host lives on without its daemon"
    again = control.up(name)
    assert again.complete
    assert again.host("db")["machine_id"] == lab.host("db")["machine_id"]
    assert again.host("db")["boots"] == 2
    assert control.ssh(name, "db", "grep -q kept /kept") == 0

    _end_daemon(name, signal.SIGTERM)
    left = state_of(name)
    assert not left["cgroups"] + left["links"] + left["processes"] + left["loops"]
    assert (places(name).folder / "hosts/project-chronos/disk.img").is_file()
    assert control.up(name).host("db")["boots"] == 3

    _end_daemon(name, signal.SIGKILL)
    said: list[str] = []
    control.down(name, progress=said.append)
    assert any("cgroup" in text for text in said)
    assert not any(state_of(name).values())


def test_a_dead_test_runs_lab_is_cleared_and_a_living_one_is_not(lab: LabStatus, name: str) -> None:
    """Its daemon is dead too, or lives: it does not know whose process asked for the lab."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    ghost, orphan = places(f"test-{dead.pid}"), places(f"test-{dead.pid}-orphan")
    control.up(orphan.lab).parameters.unlink()
    _root("mkdir", "-p", str(ghost.folder))
    _root("ip", "link", "add", ghost.bridge, "type", "bridge")
    assert leftovers.is_alive(orphan)
    assert leftovers.traces(ghost)
    living = lab.host("db")["boots"]
    control.up(name)
    assert not leftovers.traces(ghost)
    assert not leftovers.traces(orphan)
    now = control.status(lab.name)
    assert now is not None
    assert now.complete
    assert now.host("db")["boots"] == living


def _root(*argv: str) -> None:
    subprocess.run([*(["sudo", "-n"] if os.geteuid() else []), *argv], check=True)


def _end_daemon(name: str, how: signal.Signals) -> None:
    pid = int(places(name).pid_file.read_text())
    _root("kill", f"-{how.value}", str(pid))
    _wait_for_death(pid)


def _wait_for_death(pid: int, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while (stat := Path(f"/proc/{pid}/stat")).exists() and ") Z " not in stat.read_text():
        assert time.monotonic() < deadline, f"process {pid} lives"
        time.sleep(0.05)


def test_no_such_lab_is_an_answer_or_an_error() -> None:
    assert control.status("nobody-made-this") is None
    with pytest.raises(LabError, match="not up"):
        control.ssh("nobody-made-this", "db")
    with pytest.raises(LabError, match="not a lab's name"):
        control.status("../etc")
