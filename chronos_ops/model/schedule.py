"""A runbook that runs by itself at the moments of a calendar (R2)."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from chronos_ops.model.calendar import parse_calendar
from chronos_ops.model.errors import UsageError

_LOOK_BACK_DAYS = (1, 8, 32, 366, 1500)  # the last: 29 February


@dataclass(frozen=True)
class Schedule:
    """What one timer runs. No secrets: all of it stands in a unit's file."""

    runbook: str
    target: str
    calendar: str  # systemd's, in UTC
    approve: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    delay_seconds: int = 300  # RandomizedDelaySec

    @property
    def name(self) -> str:
        """Of its units."""
        return f"chronos-{self.target}-{self.runbook}"

    def arguments(self) -> list[str]:
        """Of `chronos`, as its service gives them."""
        given = ["run", self.runbook, "--target", self.target, "--slot-of", self.calendar]
        given += ["--approve", self.approve] if self.approve else []
        return given + [word for key, value in self.parameters for word in ("-p", f"{key}={value}")]

    def text(self) -> str:
        """One line that `from_text` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_text(cls, text: str) -> "Schedule":
        """Raises UsageError on what `text` did not write."""
        try:
            data = json.loads(text)
            pairs = tuple((str(key), str(value)) for key, value in data.pop("parameters"))
            return cls(**data, parameters=pairs)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UsageError("not a schedule of chronos", text) from None


def check_calendar(text: str, delay_seconds: int) -> None:
    """Raises UsageError: not understood, not in UTC, never again, or closer than its delay."""
    calendar = parse_calendar(text)
    if not calendar.utc:
        hint = "a slot's name is its moment: write the time with ` UTC` behind it"
        raise UsageError("the calendar is not in UTC", repr(text), hint=hint)
    start = datetime(2024, 2, 1, tzinfo=UTC)  # a leap year: 29 February is in it
    earlier, slots = None, 0
    for moment in calendar.between(start, start + timedelta(days=1500)):
        if earlier and (moment - earlier).total_seconds() <= max(delay_seconds, 60):
            hint = "name fewer moments, or a shorter --delay"
            raise UsageError("slots are closer than a minute or the delay", repr(text), hint=hint)
        earlier, slots = moment, slots + 1
        if slots == 3000:
            break
    if earlier is None:
        raise UsageError("the calendar has no moment at all", repr(text))


def last_slot(text: str, now: datetime) -> datetime:
    """The calendar's last moment at or before `now`. Raises UsageError where there is none."""
    calendar = parse_calendar(text)
    for days in _LOOK_BACK_DAYS:
        start = now - timedelta(days=days)
        found = list(calendar.between(start, now + timedelta(microseconds=1)))
        if found:
            return found[-1]
    raise UsageError("the calendar has no past moment", repr(text))


def next_slot(text: str, now: datetime) -> datetime | None:
    """The calendar's first moment after `now`."""
    start = now + timedelta(microseconds=1)
    return next(parse_calendar(text).between(start, start + timedelta(days=1500)), None)
