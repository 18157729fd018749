"""One lab per test run, named after its process; fresh hosts for tests that break them."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.lab.leftovers import TEST_LABS
from chronos_ops.model.settings import parameters_dir

Host = dict[str, Any]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]
LAB = f"test-{os.getpid()}"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabStatus]:
    """A lab that is up: target `lab.name`, declared host `db`, AWS. Gone afterwards, always."""
    _forget_dead_targets()
    shutil.rmtree(outputs_dir() / LAB / "archive", ignore_errors=True)  # of a dead namesake
    patch = pytest.MonkeyPatch()
    patch.setenv("CHRONOS_LAB_USER_STATE", str(tmp_path_factory.mktemp("operator")))
    patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))  # the archive's key
    try:
        yield control.up(LAB, progress=print)
    finally:
        control.down(LAB)
        patch.undo()


def _forget_dead_targets() -> None:
    """Parameter files of test runs that were killed; their labs the next `up` clears."""
    for path in parameters_dir().glob("test-*.yaml"):
        run = TEST_LABS.fullmatch(path.stem)
        if run and not Path("/proc", run[1]).exists():
            path.unlink()


@pytest.fixture(scope="session")
def shell(lab: LabStatus) -> Shell:
    """shell(host, command): run it there as the sudo user; exit code and output. `host`: a name."""

    def run(host: str, command: str, *, check: bool = True) -> "subprocess.CompletedProcess[str]":
        present = next(h for h in control.hosts(lab.name) if host in (h["name"], *h["aliases"]))
        known_hosts = lab.user_dir / f"known_hosts_{present['slug']}"
        known_hosts.write_text("".join(f"{present['address']} {k}\n" for k in present["host_keys"]))
        options = [f"UserKnownHostsFile={known_hosts}", "StrictHostKeyChecking=yes"]
        options += ["IdentitiesOnly=yes", "ConnectTimeout=10", "BatchMode=yes"]
        argv = ["ssh", "-F", "none", "-i", str(lab.user_dir / "id_ed25519")]
        for option in options:
            argv += ["-o", option]
        argv += [f"{present['user']}@{present['address']}", command]
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
        )
        if check:
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done

    return run


@pytest.fixture
def fresh_host(lab: LabStatus) -> Iterator[Callable[..., Host]]:
    """fresh_host(name, **arguments of `create`): a bare host of this test alone."""
    made: list[str] = []

    def create(name: str = "fresh", **arguments: Any) -> Host:
        made.append(name)
        given = {"memory_bytes": 512 * 1024**2, "disk_bytes": 8 * 1024**3} | arguments
        return control.request(lab.name, "create", name=name, **given)

    yield create
    present = {host["name"] for host in control.hosts(lab.name)}
    for name in made:
        if name in present:
            control.request(lab.name, "delete", name=name)
