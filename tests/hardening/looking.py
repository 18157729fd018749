"""Programs that say what was recorded, in the place where the judges' environment has them."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh, SshAddress
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.execution.context import Context
from chronos_ops.hardening import programs
from chronos_ops.model.parameters import parse_parameters
from tests.recorded_cases import example_settings

RECORDED = Path(__file__).parent / "recorded"


def said(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def a_context(folder: Path, **parameters: Any) -> Context:
    """A run in a folder, with ways out that nobody has tried."""
    settings, journal = example_settings(), FileJournal(folder)
    return Context(
        run_id=folder.name,
        folder=folder,
        settings=settings,
        parameters=parse_parameters("security_hardening", parameters),
        journal=journal,
        aws=Aws(settings.aws, journal),
        ssh=Ssh(SshAddress("192.0.2.10", 22, "admin", "/no/key"), journal),
    )


class Judges:
    """The judges' environment, with stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)

    def answer(self, name: str, recorded: str, exit_code: int = 0) -> None:
        self.script(name, f"cat {shlex.quote(str(RECORDED / recorded))}; exit {exit_code}")

    def script(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


def stand_ins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Judges:
    """Nothing but what the test puts there is found."""
    found = Judges(folder / "judges")
    monkeypatch.setattr(programs, "ENVIRONMENT", folder / "judges")
    tools = folder / "tools"
    tools.mkdir()
    for name in ("sh", "cat", "sleep"):
        (tools / name).symlink_to(Path("/bin", name))
    monkeypatch.setenv("PATH", str(tools))
    return found
