"""Calendars of systemd: those of the parameter files, and what must be refused."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from chronos_ops.model.calendar import parse_calendar
from chronos_ops.model.errors import UsageError

START = datetime(2026, 11, 23, tzinfo=UTC)  # a Monday
GOOD = (
    "*-*-* 02:00:00 UTC",
    "*-*-* 00,01,03..23:00:00 UTC",
    "Sun *-*-* 04:00:00 UTC",
    "Mon..Fri *-*-* 06:30 UTC",
    "*-*-01 03:15:00 UTC",
    "*-*-* *:00/20:00 UTC",
    "hourly UTC",
)


@pytest.mark.parametrize("text", GOOD)
def test_next_elapse_agrees_with_systemd(text: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        ["systemd-analyze", "calendar", "--base-time=2026-11-23 00:00:00 UTC",
         "--iterations=4", text],
        capture_output=True, text=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze knows no --base-time")
    lines = [line for line in done.stdout.splitlines() if "Next elapse" in line or "Iter" in line]
    theirs = [" ".join(line.split(": ", 1)[1].split()[1:3]) for line in lines]
    after = START + timedelta(seconds=1)  # systemd: strictly later than the base
    ours = [f"{m:%Y-%m-%d %H:%M:%S}" for m in parse_calendar(text).between(
        after, START + timedelta(days=140))][:4]  # fmt: skip
    assert len(theirs) == 4
    assert ours == theirs


def test_every_differential_of_a_day() -> None:
    calendar = parse_calendar("*-*-* 00,01,03..23:00:00 UTC")
    hours = [m.hour for m in calendar.between(START, START + timedelta(days=1))]
    assert hours == [0, 1, *range(3, 24)]
    assert calendar.utc


@pytest.mark.parametrize(
    "text", ["", "02:00 Europe/Berlin", "*-*-* 25:00:00 UTC", "Foo *-*-* 01:00", "2026-*-* 01:00"]
)
def test_not_understood_is_said(text: str) -> None:
    with pytest.raises(UsageError, match="not understood"):
        parse_calendar(text)
