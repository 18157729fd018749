"""What S3 costs: bytes by class now, and as the lifecycle moves them; requests (M6).

In a year: the sizes of today's backup sets and WAL segments, at the pace of the calendars and of
archive_timeout. A former version stays as long as the lifecycle says after pgBackRest deleted it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from chronos_ops.facts.s3_usage import DIFF, FULL, WAL, Sum, Usage
from chronos_ops.model.calendar import parse_calendar
from chronos_ops.model.errors import UsageError
from chronos_ops.model.monitoring import Prices
from chronos_ops.model.settings import LongTerm, Settings
from chronos_ops.plans.bucket import OURS
from chronos_ops.plans.cost_line import DAYS_MONTH, GB, SECONDS_MONTH, Line
from chronos_ops.plans.publisher import sent, slow_seconds

LIVE, LONG_TERM, EVIDENCE = "repo1", "repo2", "evidence"
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
_WEEKS = 4
# Amazon S3 User Guide, storage classes: leaving one earlier is paid as if it had stayed.
_LEAST_DAYS = {"GLACIER_IR": 90, "DEEP_ARCHIVE": 180}
# Seen in pgBackRest 2.55's trace: for each repository a push asks archive.info (GET), lists the
# segment and puts it; `info` lists four folders and reads two files; a backup takes 38 to 39.
_PUSH_PUTS, _PUSH_GETS = 2, 1
_LOOK_LISTS, _LOOK_GETS = 4, 2
_BACKUP_REQUESTS = 40
_PART = 5 * 1024**2  # repo-storage-upload-chunk-size
_LOOKERS = {
    "backup_age_hours",
    "full_backup_age_hours",
    "long_term_backup_age_hours",
    "repository_lag_segments",
}


@dataclass(frozen=True)
class Deployed:
    """The buckets, and the lifecycle that is in force."""

    settings: Settings
    usage: list[Usage]
    lifecycle: list[dict[str, Any]]

    @property
    def prices(self) -> Prices:
        return self.settings.monitoring.prices

    @property
    def repositories(self) -> int:
        return 1 if self.settings.backup.long_term is None else 2

    def one(self, place: str, kind: str) -> Sum:
        return self.usage[0].one(place, kind) if self.usage else Sum()

    def _rule(self, name: str) -> dict[str, Any]:
        found = (r for r in self.lifecycle if r.get("ID") == f"{OURS}{name}")
        return next((r for r in found if r.get("Status") == "Enabled"), {})

    @cached_property
    def former_days(self) -> int | None:
        """How long a former version stays; None: nothing deletes it."""
        rule = self._rule("expire-old-versions").get("NoncurrentVersionExpiration", {})
        return int(rule["NoncurrentDays"]) if "NoncurrentDays" in rule else None

    @cached_property
    def moves(self) -> dict[str, int]:
        """Days after which big files of repo2 change into a class."""
        moves = self._rule("long-term-tiers").get("Transitions", ())
        return {move["StorageClass"]: move["Days"] for move in moves}

    def pace(self, calendar: str) -> float | None:
        """Starts a day; None: the calendar is not understood."""
        try:
            found = parse_calendar(calendar)
        except UsageError:
            return None
        end = _MONDAY + timedelta(weeks=_WEEKS)
        return sum(1 for _ in found.between(_MONDAY, end)) / (7 * _WEEKS)


@dataclass(frozen=True)
class Pace:
    """Backups and WAL segments a day."""

    full: float
    diff: float
    long_term: float
    wal: float


def pace(there: Deployed) -> Pace | None:
    """None: a calendar is not understood, or never elapses."""
    backup = there.settings.backup
    full, diff = there.pace(backup.full_calendar), there.pace(backup.diff_calendar)
    term = there.pace(backup.long_term.full_calendar) if backup.long_term else 0.0
    if not full or diff is None or term is None or (backup.long_term and not term):
        return None
    return Pace(full, diff, term, 86400 / backup.archive_timeout_seconds)


Kept = dict[tuple[str, str, bool], float]  # bytes by place, storage class, whether current


def in_a_year(there: Deployed) -> Kept | None:
    """Bytes of both repositories at a steady pace; None: not known."""
    speed, former = pace(there), there.former_days
    if speed is None or former is None:
        return None
    backup = there.settings.backup
    full, diff, wal = (there.one(LIVE, kind).size for kind in (FULL, DIFF, WAL))
    daily = speed.full * full + speed.diff * diff + speed.wal * wal
    reach = backup.retention_full / speed.full  # days that WAL is kept
    current = backup.retention_full * full + backup.retention_diff * diff + reach * speed.wal * wal
    kept = {(LIVE, "STANDARD", True): current, (LIVE, "STANDARD", False): former * daily}
    if backup.long_term is not None:
        kept |= _long_term(there, backup.long_term, speed, former)
    return kept


def _long_term(there: Deployed, term: LongTerm, speed: Pace, former: int) -> Kept:
    """repo2: what is big wanders through the classes, the rest stays."""
    one, wal = there.one(LONG_TERM, FULL), there.one(LONG_TERM, WAL).size
    small = one.size - one.big_size
    spans = class_days(there.moves, term.retention_days)
    kept = {
        (LONG_TERM, name, True): speed.long_term * one.big_size * days
        for name, days in spans.items()
    }
    last = list(spans)[-1]
    kept[LONG_TERM, last, False] = former * speed.long_term * one.big_size
    # Its WAL is kept from the newest full on, up to the next one.
    rest = speed.long_term * small * term.retention_days + speed.wal * wal / speed.long_term
    gone = former * (speed.long_term * small + speed.wal * wal)
    for current, size in ((True, rest), (False, gone)):
        place = (LONG_TERM, "STANDARD", current)
        kept[place] = kept.get(place, 0) + size
    return kept


def class_days(moves: dict[str, int], retention: int) -> dict[str, int]:
    """Days that a big file spends in each class, in their order."""
    order = sorted((days, name) for name, days in moves.items() if days < retention)
    begins = [(0, "STANDARD"), *order]
    ends = [days for days, _ in begins[1:]] + [retention]
    return {name: end - begin for (begin, name), end in zip(begins, ends, strict=True)}


def lines(there: Deployed) -> Iterator[Line]:
    """Storage, then what leaves a class too early, then requests."""
    yield from _storage(there)
    yield from _early(there)
    yield from _requests(there)


def _storage(there: Deployed) -> Iterator[Line]:
    prices = {
        "STANDARD": there.prices.s3_standard_gb_month,
        "GLACIER_IR": there.prices.s3_glacier_instant_gb_month,
        "DEEP_ARCHIVE": there.prices.s3_deep_archive_gb_month,
    }
    now: Kept = {}
    for usage in there.usage:
        for place, total in usage.stored.items():
            now[place] = now.get(place, 0) + total.size
    later = in_a_year(there)
    for place in sorted({*now, *(later or {})}):
        name, storage_class, current = place
        # What is not ours, and the evidence, is taken to stay as it is.
        ours = name in (LIVE, LONG_TERM)
        then: float | None = now.get(place, 0)
        if ours:
            then = None if later is None else later.get(place, 0)
        yield Line(
            "storage",
            f"S3 {name}, {storage_class}{'' if current else ', former versions'}",
            now.get(place, 0) / GB,
            "GB",
            prices.get(storage_class),
            None if then is None else then / GB,
        )


def _early(there: Deployed) -> Iterator[Line]:
    """A class that is left before its least time is paid to its end."""
    term, speed = there.settings.backup.long_term, pace(there)
    if term is None:
        return
    prices = {
        "GLACIER_IR": there.prices.s3_glacier_instant_gb_month,
        "DEEP_ARCHIVE": there.prices.s3_deep_archive_gb_month,
    }
    spans, stored = class_days(there.moves, term.retention_days), there.usage[0].stored
    for name, least in _LEAST_DAYS.items():
        days = spans.get(name)
        if days is None or days >= least:
            continue
        rest = (least - days) / DAYS_MONTH  # months that are paid for nothing
        held = sum(s.big_size for (_, c, _), s in list(stored.items()) if c == name)
        size = there.one(LONG_TERM, FULL).big_size
        yield Line(
            "storage",
            f"S3 {LONG_TERM}, {name} left after {days} of {least} days",
            held * min(1.0, DAYS_MONTH / days) * rest / GB,
            "GB",
            prices[name],
            None if speed is None else speed.long_term * DAYS_MONTH * size * rest / GB,
        )


def _requests(there: Deployed) -> Iterator[Line]:
    settings, prices = there.settings, there.prices
    pushes = SECONDS_MONTH / settings.backup.archive_timeout_seconds * there.repositories
    looks = 0.0
    if set(sent(settings)) & _LOOKERS:
        looks = SECONDS_MONTH / slow_seconds(settings) * there.repositories
    every = (
        f"every {settings.backup.archive_timeout_seconds} s to {there.repositories} repositories"
    )
    put, get = prices.s3_put_per_1000, prices.s3_get_per_1000
    yield _thousands(f"S3 PUT and LIST: WAL pushed {every}", pushes * _PUSH_PUTS, put)
    title = f"S3 LIST: the publisher looks every {slow_seconds(settings)} s"
    yield _thousands(title, looks * _LOOK_LISTS, put)
    yield _thousands("S3 GET: pushes and looks", pushes * _PUSH_GETS + looks * _LOOK_GETS, get)
    speed = pace(there)
    backups = None if speed is None else _backup_requests(there, speed)
    yield _thousands("S3 PUT: backups", backups, put)
    yield from _transitions(there, speed)


def _backup_requests(there: Deployed, speed: Pace) -> float:
    full, diff = there.one(LIVE, FULL).size, there.one(LIVE, DIFF).size
    term = there.one(LONG_TERM, FULL).size
    parts = (speed.full * full + speed.diff * diff + speed.long_term * term) / _PART
    number = speed.full + speed.diff + speed.long_term
    return (number * _BACKUP_REQUESTS + parts) * DAYS_MONTH


def _transitions(there: Deployed, speed: Pace | None) -> Iterator[Line]:
    prices = {
        "GLACIER_IR": there.prices.s3_transition_instant_per_1000,
        "DEEP_ARCHIVE": there.prices.s3_transition_deep_per_1000,
    }
    objects = there.one(LONG_TERM, FULL).big_objects
    reached = {storage_class for _, storage_class, _ in there.usage[0].stored}
    for name in there.moves:
        later = None if speed is None else speed.long_term * DAYS_MONTH * objects / 1000
        now = (later or 0) if name in reached else 0  # none is old enough yet
        price = prices.get(name)
        yield Line("requests", f"S3 moves to {name}", now, "thousand", price, later)


def _thousands(title: str, number: float | None, price: float) -> Line:
    if number is None:
        return Line("requests", title, 0, "thousand", None, None)
    return Line("requests", title, number / 1000, "thousand", price, number / 1000)
