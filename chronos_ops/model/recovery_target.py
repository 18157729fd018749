"""Recovery targets (D7): read strictly, with an explicit time zone.

PostgreSQL and pgBackRest read a time without a zone each in their own zone, so none is accepted;
every time is handed on in UTC with its offset written out.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chronos_ops.model.errors import Rule, UsageError
from chronos_ops.model.wal import Lsn

Kind = Literal["latest", "immediate", "time", "lsn", "xid", "name"]
KINDS = ("time", "lsn", "xid", "name")
WHOLE = ("latest", "immediate")  # without a value: all that is archived; the backup's own end
_EXCLUSIVE = ("time", "lsn", "xid")  # PostgreSQL knows the difference for these alone
FORMS = (
    "time:2026-11-22T21:00:00Z, time:2026-11-22 16:00:00 America/Toronto, lsn:0/3000060, "
    "xid:1234, name:before_release, latest, immediate; then, if wanted, timeline:N and (time, "
    "lsn, xid) exclusive"
)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?)"
    r"(Z|[+-]\d\d(?::?[0-5]\d)?)?",
    re.ASCII | re.IGNORECASE,
)

REACHABLE = Rule(
    "drill.target.reachable",
    "the recovery target lies within what the repository holds",
    "between the end of the first backup and the last archived WAL, on a timeline that is there",
    "D7",
)
ONE_MOMENT = Rule(
    "drill.target.one-moment",
    "the recovery target is one moment in its time zone",
    "a wall-clock time that its zone showed exactly once, or one with its offset",
    "D7",
)


@dataclass(frozen=True)
class RecoveryTarget:
    """Where recovery stops. `value` is what pgBackRest gets; times are UTC with `+00`."""

    kind: Kind = "latest"
    value: str = ""
    exclusive: bool = False  # stop just before it
    timeline: str = ""  # "", "current", "latest" or a number
    moment: datetime | None = None  # of a time target, in UTC
    lsn: Lsn | None = None
    own: bool = False  # "time:" without a value: the scenario's own moment, in this kind

    def __str__(self) -> str:
        words = [f"{self.kind}:{self.value}" if self.value else self.kind]
        words += [f"timeline:{self.timeline}"] if self.timeline else []
        words += ["exclusive"] if self.exclusive else []
        return " ".join(words)

    def options(self) -> list[str]:
        """pgbackrest restore's options for this target; it promotes when the target is reached."""
        found = [f"--type={'default' if self.kind == 'latest' else self.kind}"]
        if self.kind not in WHOLE:  # pgBackRest writes it between quotes as it is
            value = self.value.replace("\\", "\\\\").replace("'", "''")
            found.append(f"--target={value}")
        if self.kind != "latest":
            found.append("--target-action=promote")
        if self.exclusive:
            found.append("--target-exclusive")
        if self.timeline:
            found.append(f"--target-timeline={self.timeline}")
        return found


def parse_target(text: str, now: datetime) -> RecoveryTarget:
    """A target from an operator's words. Raises UsageError; nothing was touched then."""
    words = text.strip()
    if not words:
        return RecoveryTarget()
    exclusive, timeline = False, ""
    while match := re.search(r"\s+(exclusive|timeline:(\S+))$", words):
        if exclusive if match[2] is None else timeline:
            raise UsageError("a recovery target says something twice", repr(text), hint=FORMS)
        if match[2]:
            timeline = _timeline(match[2])
        else:
            exclusive = True
        words = words[: match.start()]
    target = _place(words, text, now)
    if exclusive and target.kind not in _EXCLUSIVE:
        raise UsageError(
            f"{target.kind} knows no exclusive",
            repr(text),
            hint="recovery stops at the record itself, which is no commit: leave the word out",
        )
    if timeline and target.kind == "immediate":
        raise UsageError("immediate knows no timeline: it ends with the backup", repr(text))
    return replace(target, exclusive=exclusive, timeline=timeline)


def _place(words: str, text: str, now: datetime) -> RecoveryTarget:
    if words in WHOLE:
        return RecoveryTarget(words)  # type: ignore[arg-type]  # checked against WHOLE
    kind, colon, value = words.partition(":")
    if not colon or kind not in KINDS:
        raise UsageError("not a recovery target", repr(text), hint=FORMS)
    value = value.strip()
    if not value:
        return _own(kind)
    return _time(value, now) if kind == "time" else _POSITIONS[kind](value)


def at_time(moment: datetime, *, exclusive: bool = False) -> RecoveryTarget:
    """A target at a moment that carries its zone."""
    utc = moment.astimezone(UTC)
    value = utc.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return RecoveryTarget("time", value, exclusive=exclusive, moment=utc)


def _own(kind: str) -> RecoveryTarget:
    return RecoveryTarget(kind, own=True)  # type: ignore[arg-type]  # checked against KINDS


def _timeline(text: str) -> str:
    if text in ("current", "latest"):
        return text
    if re.fullmatch(r"[1-9][0-9]{0,9}", text) and int(text) < 2**32:
        return text
    raise UsageError("not a timeline", repr(text), hint="a number (decimal), current or latest")


def _time(value: str, now: datetime) -> RecoveryTarget:
    zone_name = ""
    if match := re.search(r"\s+([A-Za-z][A-Za-z0-9_+/-]*)$", value):
        zone_name, value = match[1], value[: match.start()]
    moment = _moment(value)
    if zone_name and moment.tzinfo is not None:
        raise UsageError("a time with both an offset and a zone", repr(f"{value} {zone_name}"))
    if zone_name:
        moment = _in_zone(moment, zone_name)
    if moment.tzinfo is None:
        raise UsageError(
            "a recovery target needs its time zone",
            repr(value),
            hint=f"UTC is {value}Z; host, database and you may each mean another zone",
        )
    try:
        target = at_time(moment)
    except OverflowError:
        raise UsageError("not a time", repr(value), hint=FORMS) from None
    if moment > now:
        raise UsageError(
            "the recovery target lies in the future",
            f"{moment.astimezone(UTC).isoformat()} (now {now.astimezone(UTC).isoformat()})",
            hint="is the time zone right? `Z` means UTC, not the place's own time",
            breaks=REACHABLE,
        )
    return target


def _moment(value: str) -> datetime:
    """Date and time of day, as PostgreSQL and RFC 3339 write them; naive without an offset.

    Stricter than `fromisoformat`, which cuts off digits below a microsecond, takes a date for its
    midnight and a number for a date, and whose `24:00` depends on Python's version.
    """
    match = _TIME.fullmatch(value)
    try:
        if match is None:
            raise ValueError
        date, clock, offset = match.groups()
        return datetime.fromisoformat(f"{date}T{clock}{(offset or '').upper()}")
    except ValueError:
        why = "a date, a time of day to 23:59:59.999999, and a zone or an offset"
        raise UsageError("not a time", repr(value), hint=f"{why}: {FORMS}") from None


def _in_zone(naive: datetime, name: str) -> datetime:
    """A wall-clock time in a named zone; refused where the clock shows it twice or never."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return naive.replace(tzinfo=UTC)
    if "/" not in name or name.startswith(("Etc/", "posix/", "right/")):  # right: leap seconds
        raise UsageError(
            "an ambiguous time zone", repr(name), hint="a city (Europe/Berlin), UTC, or an offset"
        )
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError("unknown time zone", repr(name), hint="e.g. America/Toronto") from None
    first, second = naive.replace(tzinfo=zone, fold=0), naive.replace(tzinfo=zone, fold=1)
    offsets = [moment.utcoffset() or timedelta() for moment in (first, second)]
    shown = ", ".join(f"{naive.isoformat(' ')}{_offset(offset)}" for offset in offsets)
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        raise UsageError(
            f"{name} has no such time (clocks were set forward)",
            naive.isoformat(" "),
            hint=f"give the offset, one of: {shown}",
            breaks=ONE_MOMENT,
        )
    if offsets[0] != offsets[1]:
        raise UsageError(
            f"{name} had this time twice (clocks were set back)",
            naive.isoformat(" "),
            hint=f"give the offset, one of: {shown}",
            breaks=ONE_MOMENT,
        )
    return first


def _offset(offset: timedelta) -> str:
    minutes = int(offset.total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _lsn(value: str) -> RecoveryTarget:
    try:
        lsn = Lsn.parse(value)
    except ValueError as error:
        raise UsageError("not a recovery target", error) from None
    return RecoveryTarget("lsn", str(lsn), lsn=lsn)


def _xid(value: str) -> RecoveryTarget:
    known = re.fullmatch(r"[1-9][0-9]{0,19}", value) and int(value) < 2**64
    if not known or int(value) & 0xFFFFFFFF < 3:  # an epoch above the 32 bits that WAL holds
        raise UsageError("not a transaction id", repr(value), hint="a decimal number from 3 on")
    return RecoveryTarget("xid", value)


def _name(value: str) -> RecoveryTarget:
    if len(value.encode()) > 63:
        raise UsageError("a restore point's name has at most 63 bytes", repr(value))
    if not value.isprintable():
        raise UsageError("a restore point's name holds no control characters", repr(value))
    return RecoveryTarget("name", value)


_POSITIONS = {"lsn": _lsn, "xid": _xid, "name": _name}
