"""How long a recovery will take: seconds = fixed + bytes / rate, phase by phase, from what was
measured (B8, D6). Pure.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, TypeVar

from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.timing import Phase

LIMIT = 0.15  # of the prediction's error
ENOUGH = 3  # sizes that must have been restored for an error to mean something
_SAME = 1.05  # sizes nearer to each other than this are repeats of one
# What each phase grows with; the others are fixed costs.
GROWS = {"restore": "size", "verify": "size", "recovery": "wal", "promote": "wal"}
NEEDED = ("provision", "restore", "recovery", "promote", "first_write", "verify")
T = TypeVar("T")
Point = tuple[float, float]  # bytes, seconds


@dataclass(frozen=True)
class Restored:
    """One restore that was measured."""

    size: int  # bytes of the backup set
    wal: int  # bytes that were replayed
    seconds: Mapping[str, float]  # by phase
    source: str  # what the host was made of: an image or a snapshot, and its bundle
    run: str  # and which of its passes

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    def data(self) -> dict[str, Any]:
        """For the result's measures."""
        return asdict(self)

    def of(self, phase: str) -> Point | None:
        """What the phase grows with, and its seconds."""
        value = self.seconds.get(phase)
        grown = self.wal if GROWS.get(phase) == "wal" else self.size
        return None if value is None else (float(grown), value)


def restored(phases: Iterable[Phase], seen: Mapping[str, Any], run: str) -> Restored | None:
    """What phases and measures of one recovery tell; None if a figure or a phase is missing."""
    seconds = {phase.name: phase.seconds for phase in phases}
    size, wal = seen.get("restored_bytes"), seen.get("replayed_wal_bytes")
    if size is None or wal is None or not set(NEEDED) <= set(seconds):
        return None
    source = f"{seen.get('provision_source', '')}; bundle {seen.get('provision_bundle', '')}"
    return Restored(size, wal, seconds, source, run)


@dataclass(frozen=True)
class Line:
    """Seconds = fixed + bytes * per_byte; neither is ever negative."""

    fixed: float
    per_byte: float = 0.0

    def at(self, size: float) -> float:
        return self.fixed + self.per_byte * size

    @property
    def rate(self) -> float | None:
        """Bytes a second; None: the size makes no difference that was seen."""
        return 1 / self.per_byte if self.per_byte > 0 else None


def grouped(points: Iterable[Point]) -> list[Point]:
    """Repeats of one size become their median: a single disturbed restore does not count."""
    groups = _alike(points, lambda point: point[0])
    return [(median(x for x, _ in group), median(y for _, y in group)) for group in groups]


def _alike(items: Iterable[T], size: Callable[[T], float]) -> list[list[T]]:
    groups: list[list[T]] = []
    for item in sorted(items, key=size):
        if groups and size(item) <= size(groups[-1][0]) * _SAME:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def fit(points: Iterable[Point]) -> Line | None:
    """Least squares, neither coefficient negative; None below two different sizes.

    Each point weighs by its relative error (below a second: by its absolute one), else the
    largest restore alone would say how long a small one takes.
    """
    known = grouped(points)
    if len(known) < 2:
        return None
    weights = [1 / (1 + y) ** 2 for _, y in known]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, known, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, known, strict=True)) / total
    across = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, known, strict=True))
    both = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, known, strict=True))
    slope = both / across
    if slope <= 0:
        return Line(mean_y)
    if mean_y - slope * mean_x >= 0:
        return Line(mean_y - slope * mean_x, slope)
    squares = sum(w * x * x for w, (x, _) in zip(weights, known, strict=True))
    return Line(0.0, sum(w * x * y for w, (x, y) in zip(weights, known, strict=True)) / squares)


@dataclass(frozen=True)
class Forecast:
    """A line for each phase."""

    lines: Mapping[str, Line]

    def seconds(self, size: float, wal: float, phases: Iterable[str] | None = None) -> float:
        """Of a recovery of that many bytes of backup and of WAL, or of some of its phases."""
        wanted = self.lines if phases is None else phases
        return sum(
            self.lines[name].at(wal if GROWS.get(name) == "wal" else size) for name in wanted
        )

    def breaks_at_size(self, objective: float, wal: float) -> float | None:
        """Bytes of backup at which the objective is missed; 0: at any, None: no size is seen."""
        return self._breaks("size", objective - self.seconds(0, wal))

    def breaks_at_wal(self, objective: float, size: float) -> float | None:
        """Bytes of WAL at which the objective is missed at that size of backup."""
        return self._breaks("wal", objective - self.seconds(size, 0))

    def _breaks(self, kind: str, left: float) -> float | None:
        slope = sum(line.per_byte for name, line in self.lines.items() if GROWS.get(name) == kind)
        if left <= 0:
            return 0.0
        return left / slope if slope > 0 else None


def forecast(known: Sequence[Restored]) -> Forecast | str:
    """A line for each phase, or what is missing for it."""
    lines: dict[str, Line] = {}
    for phase in dict.fromkeys(name for one in known for name in one.seconds):
        points = [point for one in known if (point := one.of(phase)) is not None]
        if phase not in GROWS:
            lines[phase] = Line(median(y for _, y in points))
            continue
        line = fit(points)
        if line is None:
            noun = "WAL volumes" if GROWS[phase] == "wal" else "sizes"
            return f"{phase} was measured at {len(grouped(points))} different {noun}, 2 are needed"
        lines[phase] = line
    missing = [name for name in NEEDED if name not in lines]
    return f"{', '.join(missing)} was never measured" if missing else Forecast(lines)


@dataclass(frozen=True)
class Error:
    """A size that was predicted from the other sizes alone (leave one out)."""

    size: int
    wal: int
    restores: int
    measured: float  # seconds, median of its restores
    predicted: float | None  # None: the others do not suffice
    growing: float | None  # the same error of the phases alone that grow

    @property
    def error(self) -> float | None:
        if self.predicted is None:
            return None
        return abs(self.predicted - self.measured) / self.measured


def left_out(known: Sequence[Restored]) -> list[Error]:
    """Each size predicted by a forecast that never saw it."""
    sizes = _alike(known, lambda one: one.size)
    return [
        _predicted(own, forecast([one for other in sizes if other is not own for one in other]))
        for own in sizes
    ]


def _predicted(own: Sequence[Restored], by: Forecast | str) -> Error:
    """Over the phases that the other sizes had too: a restore without a fault has no `detect`."""
    size, wal = int(median(one.size for one in own)), int(median(one.wal for one in own))
    if isinstance(by, str):
        return Error(size, wal, len(own), median(one.total for one in own), None, None)

    def both(wanted: Callable[[str], bool]) -> Point:
        pairs = []
        for one in own:
            names = [name for name in one.seconds if name in by.lines and wanted(name)]
            pairs.append((by.seconds(one.size, one.wal, names), sum(one.seconds[n] for n in names)))
        return median(p for p, _ in pairs), median(m for _, m in pairs)

    predicted, measured = both(lambda _name: True)
    grown, grew = both(lambda name: name in GROWS)
    growing = abs(grown - grew) / grew if grew > 0 else None
    return Error(size, wal, len(own), measured, predicted, growing)


def judge_error(errors: Sequence[Error], why_not: str = "") -> Finding:
    """The prediction is worth something where it was held against restores: 15 % on 3 sizes."""
    identifier, title = "drill.forecast.error", "the forecast predicts a size that it never saw"
    hint = "restore more sizes, on a quiet machine: `-p forecast_megabytes=64,256,1024,3072`"
    if why_not or len(errors) < ENOUGH:
        why = why_not or f"{len(errors)} sizes were restored"
        return Finding(
            id=identifier,
            status=Status.NOT_APPLICABLE,
            title=title,
            observed=f"not known: {why}; an error means something from {ENOUGH} sizes on",
            expected=f"below {LIMIT:.0%}",
            hint=hint,
            requirement="D6",
        )
    known = [(one.error, one) for one in errors if one.error is not None]
    worst = max(known, key=lambda row: row[0], default=None)
    over = worst is not None and worst[0] >= LIMIT
    return judge(
        identifier,
        title,
        passed=False if over else None if len(known) < len(errors) else True,
        observed="no size could be predicted from the others"
        if worst is None
        else f"worst {worst[0]:.1%} of {len(known)} sizes of {len(errors)}, at "
        f"{worst[1].size / 1e6:,.0f} MB",
        expected=f"below {LIMIT:.0%} on each of at least {ENOUGH} sizes",
        hint=hint,
        requirement="D6",
    )
