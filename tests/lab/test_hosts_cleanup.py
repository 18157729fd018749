"""A lab comes and goes without a trace, whatever kills it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronos_ops.lab import control, leftovers
from chronos_ops.lab.control import LabError
from chronos_ops.lab.places import places
from tests.lab.conftest import LAB

MachineState = Callable[[], dict[str, list[str]]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A lab of this test alone."""
    own = f"{LAB}-own"
    monkeypatch.setenv("CHRONOS_LAB_USER_STATE", str(tmp_path))
    yield own
    control.down(own)


def _ours(state: dict[str, list[str]], name: str) -> dict[str, list[str]]:
    """Other labs of this machine come and go as they like: names and bridges tell them apart."""
    where = places(name)
    marks = (f"{name}.", f"/{name}/", where.bridge, where.table, f"--lab {name} ", f"/{name}")
    return {kind: [x for x in seen if any(m in x for m in marks)] for kind, seen in state.items()}


def test_up_is_quick_and_down_leaves_nothing(name: str, machine_state: MachineState) -> None:
    control.up(name)  # images are made by now
    control.down(name)
    before = _ours(machine_state(), name)
    begun = time.monotonic()
    lab = control.up(name)
    up_seconds = time.monotonic() - begun
    assert lab.complete
    during = _ours(machine_state(), name)
    assert during["cgroups"]
    assert during["links"]
    assert during["processes"]
    begun = time.monotonic()
    control.down(name)
    down_seconds = time.monotonic() - begun
    after = _ours(machine_state(), name)
    assert after == before
    assert not any(after.values())
    assert not places(name).folder.exists()
    assert not lab.parameters.exists()
    assert not lab.user_dir.exists()
    print(f"up {up_seconds:.1f} s, down {down_seconds:.1f} s")
    assert up_seconds < 20  # 5 s seen; a busy machine is no failure
    assert down_seconds < 10


def test_up_again_changes_nothing(name: str) -> None:
    first = control.up(name)
    begun = time.monotonic()
    second = control.up(name)
    assert time.monotonic() - begun < 2
    assert second.host("db")["boots"] == first.host("db")["boots"] == 1
    assert second.host("db")["machine_id"] == first.host("db")["machine_id"]


def test_two_ups_at_once_make_one_lab(name: str) -> None:
    code = f"from chronos_ops.lab import control; control.up({name!r})"
    pair = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    assert [process.wait(timeout=120) for process in pair] == [0, 0]
    lab = control.status(name)
    assert lab is not None
    assert lab.complete
    assert [host["name"] for host in lab.hosts] == ["project-chronos"]
    assert lab.host("db")["boots"] == 1


def test_after_a_killed_daemon_up_brings_the_host_back_with_its_disk(name: str) -> None:
    lab = control.up(name)
    assert control.ssh(name, "db", "echo kept | sudo tee /kept && sync") == 0
    daemon = int(places(name).pid_file.read_text())
    os.kill(daemon, signal.SIGKILL)
    _wait_for_death(daemon)
    assert control.status(name) is None
    again = control.up(name)
    assert again.complete
    assert again.host("db")["machine_id"] == lab.host("db")["machine_id"]
    assert again.host("db")["boots"] == 2
    assert control.ssh(name, "db", "grep -q kept /kept") == 0


def test_down_clears_what_a_killed_daemon_left(name: str, machine_state: MachineState) -> None:
    control.up(name)
    daemon = int(places(name).pid_file.read_text())
    os.kill(daemon, signal.SIGKILL)
    _wait_for_death(daemon)
    assert _ours(machine_state(), name)["cgroups"], "the hosts live on without their daemon"
    said: list[str] = []
    control.down(name, progress=said.append)
    assert any("cgroup" in text for text in said)
    assert not any(_ours(machine_state(), name).values())


def test_sigterm_tears_down_and_keeps_the_disks(name: str, machine_state: MachineState) -> None:
    control.up(name)
    where = places(name)
    daemon = int(where.pid_file.read_text())
    os.kill(daemon, signal.SIGTERM)
    _wait_for_death(daemon)
    left = _ours(machine_state(), name)
    assert not left["cgroups"]
    assert not left["links"]
    assert not left["processes"]
    assert (where.folder / "hosts/project-chronos/disk.img").is_file()
    assert control.up(name).host("db")["boots"] == 2


def test_a_dead_test_runs_lab_is_cleared_and_a_living_one_is_not(
    name: str, machine_state: MachineState
) -> None:
    lab = control.up(name)
    dead = subprocess.Popen(["true"])
    dead.wait()
    ghost = places(f"test-{dead.pid}")
    subprocess.run(["sudo", "-n", "true"] if os.geteuid() else ["true"], check=True)
    _make_root_folder(ghost.folder)
    bridge = ["ip", "link", "add", ghost.bridge, "type", "bridge"]
    subprocess.run([*(["sudo", "-n"] if os.geteuid() else []), *bridge], check=True)
    assert leftovers.traces(ghost)
    control.down(f"{LAB}-x")
    try:
        control.up(f"{LAB}-x")
    finally:
        control.down(f"{LAB}-x")
    assert not leftovers.traces(ghost)
    now = control.status(name)
    assert now is not None
    assert now.complete
    assert now.host("db")["boots"] == lab.host("db")["boots"]


def _make_root_folder(path: Path) -> None:
    subprocess.run(
        [*(["sudo", "-n"] if os.geteuid() else []), "mkdir", "-p", str(path)], check=True
    )


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
