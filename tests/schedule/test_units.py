"""The units' texts, as systemd itself reads them; what is refused; what became of the slots."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chronos_ops.model.errors import CommandFailed, UsageError
from chronos_ops.model.schedule import Schedule, check_calendar, last_slot, next_slot
from chronos_ops.schedule.claims import Claims
from chronos_ops.schedule.manager import Manager
from chronos_ops.schedule.slots import slots
from chronos_ops.schedule.units import schedule_in, unit_texts

WEEKLY = "Sun *-*-* 04:00:00 UTC"
SCHEDULE = Schedule(
    "disaster_recovery", "lab", WEEKLY, "lab", (("scenario", "100% \"lost\" $HOME\\"),)
)  # fmt: skip
SUNDAY = datetime(2026, 11, 22, 4, tzinfo=UTC)


def texts(schedule: Schedule = SCHEDULE) -> dict[str, str]:
    root = Path("/usr/local/my %tools'")
    return unit_texts(schedule, root, root / "outputs", system=True)


def test_the_units_say_what_a_drill_by_night_needs() -> None:
    found = texts()
    timer, service = (found[f"chronos-lab-disaster_recovery.{k}"] for k in ("timer", "service"))
    for line in (f"OnCalendar={WEEKLY}", "Persistent=true", "RandomizedDelaySec=300"):
        assert line in timer.splitlines()
    for line in (
        "User=root",
        "KillMode=mixed",
        "TimeoutStopSec=2700",
        "Restart=no",
        "OnFailure=chronos-lab-disaster_recovery-failed.service",
        (
            '''ExecStart="/usr/local/my %%tools'/chronos" "run" "disaster_recovery"'''
            r' "--target" "lab" "--slot-of" "Sun *-*-* 04:00:00 UTC" "--approve" "lab" "-p"'
            r' "scenario=100%% \"lost\" $$HOME\\"'
        ),
    ):
        assert line in service.splitlines()
    assert schedule_in(timer) == SCHEDULE


def test_a_parameter_stays_on_its_line() -> None:
    odd = replace(SCHEDULE, parameters=(("image", "a\nExecStartPre=/bin/false\r%h"),))
    found = texts(odd)
    for text in found.values():
        assert not any(line.startswith("ExecStartPre") for line in text.splitlines())
    service = found["chronos-lab-disaster_recovery.service"]
    assert r'"image=a\nExecStartPre=/bin/false\r%%h"' in service
    assert schedule_in(found["chronos-lab-disaster_recovery.timer"]) == odd


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_takes_them_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "my %tools" / "chronos"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    found = unit_texts(SCHEDULE, program.parent, tmp_path, system=True)
    manager = Manager(system=True, folder=tmp_path)
    manager.verify(found, WEEKLY)
    name = "chronos-lab-disaster_recovery.service"
    broken = {**found, name: found[name].replace("KillMode=mixed", "KillMode=softly")}
    with pytest.raises(CommandFailed, match="softly"):
        manager.verify(broken, WEEKLY)
    with pytest.raises(CommandFailed, match="calendar"):
        manager.verify(found, "Blursday *-*-* 04:00:00 UTC")


def test_adding_again_changes_nothing(tmp_path: Path) -> None:
    manager = Manager(system=True, folder=tmp_path)
    first = texts()
    assert len(manager.changes(first)) == 3
    for name, text in first.items():
        (tmp_path / name).write_text(text)
    assert manager.changes(texts()) == {}
    assert [one.schedule for one in manager.installed()] == [SCHEDULE]
    later = texts(replace(SCHEDULE, calendar="Sat *-*-* 04:00:00 UTC"))
    assert set(manager.changes(later)) == {
        "chronos-lab-disaster_recovery.timer",
        "chronos-lab-disaster_recovery.service",
    }
    (tmp_path / "chronos-x.timer").write_text("X-Chronos-Schedule={}\n")
    with pytest.raises(UsageError, match="not a schedule"):
        manager.installed()


def test_removed_without_systemd_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Manager, "missing", lambda _: "systemd is not up")
    for name, text in texts().items():
        (tmp_path / name).write_text(text)
    wants = tmp_path / "timers.target.wants"
    wants.mkdir()
    timer = f"{SCHEDULE.name}.timer"
    (wants / timer).symlink_to(tmp_path / timer)
    Manager(system=True, folder=tmp_path).remove(SCHEDULE.name)
    assert [*tmp_path.iterdir()] == [wants]
    assert [*wants.iterdir()] == []


@pytest.mark.parametrize(
    ("calendar", "delay", "why"),
    [
        ("every sunday", 0, "not understood"),
        ("Blursday *-*-* 04:00:00 UTC", 0, "not understood"),
        ("*-*-* 25:00:00 UTC", 0, "not understood"),
        ("Sun *-*-* 04:00:00", 0, "not in UTC"),
        ("*-02-30 04:00:00 UTC", 0, "no moment"),
        ("*-*-* *:*:00 UTC", 0, "closer than a minute"),
        ("*-*-* *:00/5:00 UTC", 300, "closer than a minute or the delay"),
        ("*-*-* 04:00:00 UTC\nExecStart=/bin/false", 0, "not understood"),
    ],
)
def test_a_calendar_without_sense_is_refused(calendar: str, delay: int, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        check_calendar(calendar, delay)


def test_calendars_with_sense_and_their_slots() -> None:
    for calendar in (WEEKLY, "*-02-29 00:00:00 UTC", "*-*-* *:00/10:00 UTC"):
        check_calendar(calendar, 300)
    assert last_slot(WEEKLY, SUNDAY) == SUNDAY
    assert last_slot(WEEKLY, SUNDAY - timedelta(seconds=1)) == SUNDAY - timedelta(days=7)
    assert last_slot(WEEKLY, SUNDAY + timedelta(minutes=5)) == SUNDAY
    assert next_slot(WEEKLY, SUNDAY) == SUNDAY + timedelta(days=7)


def test_a_missed_slot_is_told_and_a_young_one_is_due(tmp_path: Path) -> None:
    week = timedelta(days=7)
    claims = Claims(tmp_path)
    with claims.claimed("disaster_recovery", SUNDAY - 2 * week) as held:
        held.end("passed")
    with claims.claimed("security_hardening", SUNDAY - week) as held:  # another runbook's
        held.end("passed")
    since, now = SUNDAY - 2 * week, SUNDAY + timedelta(minutes=6)
    found = slots(SCHEDULE, claims, since, now)
    assert [(slot.at, slot.state) for slot in found] == [
        (SUNDAY - 2 * week, "passed"),
        (SUNDAY - week, "missed"),
        (SUNDAY, "due"),
    ]
    assert slots(SCHEDULE, claims, since, now + timedelta(minutes=2))[-1].state == "missed"
