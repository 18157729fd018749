"""Achieved recovery time and point over time, beside the objectives, as points of an SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chronos_ops.site.collect import Row

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 200, 62, 12, 14, 26


@dataclass(frozen=True)
class Mark:
    """A drill in the picture. `kept`: within the objective."""

    x: float
    y: float
    seconds: float
    when: str
    run: str
    kept: bool


@dataclass(frozen=True)
class Trend:
    """One measure of one scenario; `objective` in seconds, None: none was declared."""

    title: str
    count: int
    p50: float
    p95: float
    worst: float
    objective: float | None
    marks: Sequence[Mark]
    lines: Sequence[tuple[float, str]]  # y, label
    objective_y: float | None
    ends: tuple[str, str]


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: a value that was really measured."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def trends(rows: Sequence[Row]) -> list[Trend]:
    """Of verified drills alone, by scenario."""
    drills = sorted((r for r in rows if r.measured), key=lambda row: row.result.ended_at)
    found = []
    for scenario in sorted({row.result.scenario or "" for row in drills}):
        mine = [row for row in drills if (row.result.scenario or "") == scenario]
        for word, name in (("time", "recovery_time_seconds"), ("point", "recovery_point_seconds")):
            known = [(row, getattr(row.result.achieved, name)) for row in mine]
            pairs = [(row, float(value)) for row, value in known if value is not None]
            if pairs:
                last = pairs[-1][0].result.objectives
                objective = getattr(last, name) if last else None
                found.append(_trend(f"{scenario}: achieved recovery {word}", pairs, objective))
    return found


def _trend(title: str, pairs: Sequence[tuple[Row, float]], objective: float | None) -> Trend:
    values = [value for _, value in pairs]
    everything = [*values, *([objective] if objective else [])]
    low = math.floor(math.log10(max(min(everything), 0.1)))
    high = max(math.ceil(math.log10(max(*everything, 1.0))), low + 1)

    def y_of(seconds: float) -> float:
        share = (math.log10(max(seconds, 10.0**low)) - low) / (high - low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    step = (WIDTH - LEFT - RIGHT) / max(len(pairs) - 1, 1)
    marks = [
        Mark(
            x=round(LEFT + (number * step if len(pairs) > 1 else (WIDTH - LEFT - RIGHT) / 2), 1),
            y=y_of(value),
            seconds=value,
            when=row.result.ended_at[:16].replace("T", " "),
            run=row.folder.name,
            kept=objective is None or value < objective,
        )
        for number, (row, value) in enumerate(pairs)
    ]
    return Trend(
        title=title,
        count=len(values),
        p50=percentile(values, 0.5),
        p95=percentile(values, 0.95),
        worst=max(values),
        objective=objective,
        marks=marks,
        lines=[(y_of(10.0**n), _seconds(10.0**n)) for n in range(low, high + 1)],
        objective_y=y_of(objective) if objective else None,
        ends=(marks[0].when[:10], marks[-1].when[:10]),
    )


def _seconds(value: float) -> str:
    return f"{value:g} s"
