"""A new host that does not answer is looked into and booted once more; an old one is an error."""

from pathlib import Path
from typing import Any

import pytest

from chronos_ops.lab import host as module
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.host import Host, Record
from chronos_ops.lab.places import Places


class Dumb(Host):
    """Its power is a list of what was done to it."""

    def __init__(self, tmp_path: Path, boots: int) -> None:
        places = Places("dumb", state=tmp_path)
        places.logs.mkdir(parents=True)
        record = Record("web", "web", "10.1.2.3", "bare", 1, 1, "admin", boots=boots)
        super().__init__(places, "br", record, lambda: None)
        self.state = "starting"
        self.deeds: list[str] = []

    def kill(self) -> None:
        self.deeds.append("kill")
        self.state = "stopped"

    def _boot(self) -> None:
        self.deeds.append("boot")
        self.record.boots += 1
        self.state = "starting"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What each wait for the SSH server finds, in turn."""
    given: list[bool] = []

    def wait(address: str, deadline_seconds: float) -> None:
        if not given.pop(0):
            raise LabError("no SSH server answers", f"{address}:22 for {deadline_seconds:.0f} s")

    def seen(pids: Any, leader: int | None) -> str:
        return "sshd waits in fuse_wait"

    monkeypatch.setattr(module, "wait_for_ssh", wait)
    monkeypatch.setattr(module, "diagnose", seen)
    return given


def test_a_new_host_that_stays_dumb_is_booted_once_more(
    tmp_path: Path, answers: list[bool]
) -> None:
    answers += [False, True]
    host = Dumb(tmp_path, boots=1)
    host.wait_until_up()
    assert host.deeds == ["kill", "boot"]
    assert host.state == "running"
    log = (host.places.logs / "no-answer.log").read_text()
    assert "web 10.1.2.3" in log
    assert "fuse_wait" in log


def test_dumb_twice_is_an_error_that_shows_what_was_seen(
    tmp_path: Path, answers: list[bool]
) -> None:
    answers += [False, False]
    host = Dumb(tmp_path, boots=1)
    with pytest.raises(LabError, match="fuse_wait"):
        host.wait_until_up()
    assert host.deeds == ["kill", "boot"]


def test_a_host_that_once_answered_is_not_booted_again(tmp_path: Path, answers: list[bool]) -> None:
    answers += [False]
    host = Dumb(tmp_path, boots=2)
    with pytest.raises(LabError, match="for 60 s"):
        host.wait_until_up()
    assert host.deeds == []
