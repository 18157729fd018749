"""A change of Lightsail's list: judged when it can have come into force, not before (H9)."""

import time
from pathlib import Path
from typing import Any, cast

import pytest

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution import guard_client, new_connection
from chronos_ops.execution.apply import apply
from chronos_ops.model.errors import ChronosError, TransportError
from chronos_ops.model.plan import CallAws, Change, Plan
from tests.execution.test_apply import FakeAws, FakeJournal, context
from tests.recorded_cases import example_settings


class Door:
    """New connections to a host whose port list comes into force `late` seconds after it is put."""

    def __init__(self, aws: FakeAws, late: float) -> None:
        self.aws, self.late = aws, late
        self.put = 0.0
        self.tried: list[bool] = []
        self.address, self.journal = "", None

    def __call__(self, *_: Any) -> "Door":
        return self

    def open(self) -> None:
        closed = bool(self.aws.calls) and self.aws.calls[-1][1]["list"] == "without 22"
        if closed and not self.put:
            self.put = time.monotonic()
        shut = closed and time.monotonic() - self.put >= self.late
        self.tried.append(not shut)
        if shut:
            raise TransportError("the host does not answer", "192.0.2.10")

    def run(self, *_: Any, **__: Any) -> None:
        pass

    def close(self) -> None:
        pass


def listed(name: str) -> CallAws:
    return CallAws(service="lightsail", operation="put", arguments={"list": name})


def narrowing(late_seconds: float) -> Plan:
    change = Change(
        id="lightsail.ports", title="close", why="a test", guard=True, late_seconds=late_seconds,
        deeds=(listed("without 22"),), undo=(listed("former"),),
    )  # fmt: skip
    return Plan(name="lightsail-firewall", changes=(change,))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(guard_client, "_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(guard_client, "_REFUSED_SECONDS", 0.5)
    monkeypatch.setattr(new_connection, "SETTLED_SECONDS", 0.05)
    return monkeypatch


def guarded(door: Door, plan: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeJournal:
    journal = FakeJournal()
    monkeypatch.setattr(guard_client, "Ssh", door)
    found = context(cast(Any, door.aws), cast(Any, door), journal, folder)
    object.__setattr__(found, "settings", example_settings())
    apply(plan, found, ssh=cast(Ssh, door))
    return journal


def test_a_list_that_comes_into_force_late_is_taken_back(
    quick: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first connections work: they say nothing yet."""
    aws = FakeAws()
    door = Door(aws, late=0.6)
    with pytest.raises(ChronosError, match="locked the operator out"):
        guarded(door, narrowing(10), tmp_path, quick)
    assert door.tried[:3] == [True, True, True]
    assert False in door.tried
    assert [given["list"] for _, given in aws.calls] == ["without 22", "former"]
    assert time.monotonic() - door.put < 8  # it ends when it is refused, not with its time


def test_a_list_that_lets_the_operator_in_is_confirmed_at_the_end_of_its_time(
    quick: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    aws = FakeAws()
    door = Door(aws, late=1000)
    began = time.monotonic()
    journal = guarded(door, narrowing(0.5), tmp_path, quick)
    assert time.monotonic() - began >= 0.5
    assert all(door.tried)
    assert len(door.tried) > 3
    assert len(aws.calls) == 1
    assert [event for event, name in journal.lines if name.startswith("guard:")] == [
        "resource",
        "removed",
    ]


def test_where_nobody_loses_a_way_in_two_connections_do(
    quick: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    door = Door(FakeAws(), late=1000)
    guarded(door, narrowing(0), tmp_path, quick)
    assert door.tried == [True, True]
