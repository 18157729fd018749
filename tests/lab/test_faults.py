"""What faults stand on: a lab that is put back to one state, and a run that is struck inside."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.faults.inner import run_inner
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.lab.errors import LabError
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.settings import load_settings

pytestmark = pytest.mark.lab
NAME = f"test-{os.getpid()}-kept"
PARAMETER = "/chronos/kept"


@pytest.fixture
def own_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabStatus]:
    monkeypatch.setenv("CHRONOS_LAB_USER_STATE", str(tmp_path))
    try:
        yield control.up(NAME)
    finally:
        control.down(NAME)


def test_a_lab_is_put_back_to_what_it_was(own_lab: LabStatus) -> None:
    with pytest.raises(LabError, match="no checkpoint"):
        control.put_back(NAME)
    settings = load_settings(NAME)

    def seen(script: str = "") -> tuple[str, str]:
        """On the host's disk and in AWS, after a script that changes the former."""
        aws = Aws(settings.aws)
        with Ssh(declared_host(settings, aws)) as ssh:
            there = ssh.run(["sh", "-c", f"{script} cat /etc/kept"], sudo=True).stdout
        return there, aws.call("ssm", "get_parameter", Name=PARAMETER)["Parameter"]["Value"]

    def put(value: str) -> None:
        given = {"Name": PARAMETER, "Value": value, "Type": "String", "Overwrite": True}
        Aws(settings.aws).call("ssm", "put_parameter", **given)

    put("before")
    before = seen("echo before > /etc/kept; sync;")
    control.keep(NAME)
    put("after")
    assert seen("echo after > /etc/kept; sync;") != before
    assert control.put_back(NAME).complete
    assert seen() == before == ("before\n", "before")


def test_a_run_is_struck_when_a_step_has_ended_and_stands_still_meanwhile(
    lab: LabStatus, tmp_path: Path
) -> None:
    struck: list[tuple[Path, set[str]]] = []

    def strike(folder: Path, processes: Sequence[int]) -> None:
        assert (folder / "steps" / "setup.json").exists()
        assert len(processes) >= 2  # the runner and its kernel
        struck.append((folder, {psutil.Process(pid).status() for pid in processes}))

    inner = run_inner("preflight", lab.name, {}, tmp_path, "setup", strike)
    assert inner.result is not None
    assert inner.exit_status == inner.result.verdict.exit_status
    assert (inner.folder, {psutil.STATUS_STOPPED}) == struck[0]
    assert (tmp_path / "result.json").read_bytes()
    with pytest.raises(ChronosError, match="to strike after did not end"):
        run_inner("preflight", lab.name, {"plan": "x"}, tmp_path / "refused", "setup", strike)
