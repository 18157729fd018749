"""Recovery targets (D7): read strictly, with an explicit time zone.

PostgreSQL and pgBackRest read a time without a zone each in their own zone, so none is accepted;
every time is handed on in UTC with its offset written out.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chronos_ops.model.errors import UsageError
from chronos_ops.model.wal import Lsn

Kind = Literal["latest", "time", "lsn", "xid", "name"]
KINDS = ("time", "lsn", "xid", "name")
FORMS = (
    "time:2026-11-22T21:00:00Z, time:2026-11-22 16:00:00 America/Toronto, lsn:0/3000060, "
    "xid:1234, name:before_release; then, if wanted, timeline:N and exclusive"
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
        if self.kind != "latest":
            found += [f"--target={self.value}", "--target-action=promote"]
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
        if match[2]:
            timeline = _timeline(match[2])
        else:
            exclusive = True
        words = words[: match.start()]
    kind, colon, value = words.partition(":")
    if not colon or kind not in KINDS:
        raise UsageError("not a recovery target", repr(text), hint=FORMS)
    value = value.strip()
    if not value:
        target = _own(kind)
    else:
        target = _time(value, now) if kind == "time" else _POSITIONS[kind](value)
    return replace(target, exclusive=exclusive, timeline=timeline)


def at_time(moment: datetime, *, exclusive: bool = False) -> RecoveryTarget:
    """A target at a moment that carries its zone."""
    utc = moment.astimezone(UTC)
    value = utc.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    return RecoveryTarget("time", value, exclusive=exclusive, moment=utc)


def _own(kind: str) -> RecoveryTarget:
    return RecoveryTarget(kind, own=True)  # type: ignore[arg-type]  # checked against KINDS


def _timeline(text: str) -> str:
    if text in ("current", "latest") or re.fullmatch(r"[1-9][0-9]{0,9}", text):
        return text
    raise UsageError("not a timeline", repr(text), hint="a number (decimal), current or latest")


def _time(value: str, now: datetime) -> RecoveryTarget:
    zone_name = ""
    if match := re.search(r"\s+([A-Za-z][A-Za-z0-9_+/-]*)$", value):
        zone_name, value = match[1], value[: match.start()]
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise UsageError("not a time", repr(value), hint=FORMS) from None
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
    if moment > now:
        raise UsageError(
            "the recovery target lies in the future",
            f"{moment.astimezone(UTC).isoformat()} (now {now.astimezone(UTC).isoformat()})",
            hint="is the time zone right?",
        )
    return at_time(moment)


def _in_zone(naive: datetime, name: str) -> datetime:
    """A wall-clock time in a named zone; refused where the clock shows it twice or never."""
    if name in ("UTC", "GMT"):
        return naive.replace(tzinfo=UTC)
    if "/" not in name or name.startswith("Etc/"):
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
        raise UsageError(f"{name} has no such time (clocks were set forward)", naive.isoformat(" "))
    if offsets[0] != offsets[1]:
        raise UsageError(
            f"{name} had this time twice (clocks were set back)",
            naive.isoformat(" "),
            hint=f"give the offset, one of: {shown}",
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
    if not re.fullmatch(r"[1-9][0-9]{0,19}", value) or int(value) < 3:
        raise UsageError("not a transaction id", repr(value), hint="a decimal number from 3 on")
    return RecoveryTarget("xid", value)


def _name(value: str) -> RecoveryTarget:
    if len(value.encode()) > 63:
        raise UsageError("a restore point's name has at most 63 bytes", repr(value))
    return RecoveryTarget("name", value)


_POSITIONS = {"lsn": _lsn, "xid": _xid, "name": _name}
