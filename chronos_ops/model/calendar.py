"""systemd calendar expressions, as far as schedules here use them: `Sun *-*-* 04:00:00 UTC`.

Source: systemd.time(7), "Calendar Events". Weekdays, lists, ranges (`03..23`) and steps (`/2`) in
the time are understood, and every day or single days in the date; in UTC only.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chronos_ops.model.errors import UsageError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMED = {
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
}
_FORM = re.compile(
    r"(?:(?P<days>[A-Za-z,.]+) +)?(?:(?P<year>[^ -]+)-(?P<month>[^ -]+)-(?P<day>[^ -]+) +)?"
    r"(?P<hour>[^ :]+):(?P<minute>[^ :]+)(?::(?P<second>[^ :]+))?(?P<utc> +UTC)?"
)


@dataclass(frozen=True)
class Calendar:
    """When it elapses: sets of numbers (weekday 0 is Monday)."""

    weekdays: frozenset[int]
    months: frozenset[int]
    days: frozenset[int]
    hours: frozenset[int]
    minutes: frozenset[int]
    seconds: frozenset[int]
    utc: bool

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Moments in `start` <= t < `end`, in order; both aware."""
        day = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while day < end:
            if day.weekday() in self.weekdays and day.month in self.months and day.day in self.days:
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        for second in sorted(self.seconds):
                            moment = day + timedelta(hours=hour, minutes=minute, seconds=second)
                            if start <= moment < end:
                                yield moment
            day += timedelta(days=1)


def parse_calendar(text: str) -> Calendar:
    """Raises UsageError on what is not understood (systemd may understand more)."""
    found = _FORM.fullmatch(_named(text.strip()))
    if not found or (found["year"] or "*") != "*":
        raise _not_understood(text)
    try:
        return Calendar(
            weekdays=_weekdays(found["days"]),
            months=_numbers(found["month"] or "*", 1, 12),
            days=_numbers(found["day"] or "*", 1, 31),
            hours=_numbers(found["hour"], 0, 23),
            minutes=_numbers(found["minute"], 0, 59),
            seconds=_numbers(found["second"] or "0", 0, 59),
            utc=bool(found["utc"]),
        )
    except ValueError:
        raise _not_understood(text) from None


def _not_understood(text: str) -> UsageError:
    hint = "write it like `*-*-* 02:00:00 UTC` or `Sun *-*-* 04:00:00 UTC`"
    return UsageError("a calendar that is not understood", repr(text), hint=hint)


def _named(text: str) -> str:
    word, _, rest = text.partition(" ")
    return f"{_NAMED[word]} {rest}".strip() if word in _NAMED else text


def _weekdays(text: str | None) -> frozenset[int]:
    if not text:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.lower().split(","):
        first, _, last = part.partition("..")
        start = _DAYS.index(first[:3])
        found |= set(range(start, _DAYS.index(last[:3]) + 1)) if last else {start}
    return frozenset(found)


def _numbers(text: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        else:
            head, _, tail = span.partition("..")
            first = int(head)
            last = int(tail) if tail else high if step else first
        if not low <= first <= last <= high:
            raise ValueError(part)
        found |= set(range(first, last + 1, int(step or 1)))
    return frozenset(found)
