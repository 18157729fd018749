"""Recovery time and point over several passes of a drill: not one anecdote (D6)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from typing import Any

from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.timing import Objectives


@dataclass(frozen=True)
class Pass:
    """One pass of a scenario. None: not measured (never read as zero). Seconds."""

    number: int
    rate: float  # commits a second of the outside writer; 0: as fast as possible
    offset_seconds: float | None = None  # of the fault in the archive window
    recovery_time_seconds: float | None = None
    recovery_point_seconds: float | None = None
    bound_seconds: float | None = None  # archive_timeout + its own push; None: has no bound
    lost: int | None = None
    promised: int | None = None
    push_seconds: float | None = None
    checks: int = 0  # findings that were judged
    bad: tuple[str, ...] = ()  # ids of those that are not good
    failed: str = ""  # the step that broke, and its error
    not_measured: tuple[str, ...] = field(default=())  # figures without a meaning in the scenario

    def data(self) -> dict[str, Any]:
        """For the result's measures."""
        return asdict(self)


def nearest_rank(values: Iterable[float], part: float) -> float | None:
    """The smallest value that `part` of all do not exceed; None of nothing. No interpolation: it
    is a value that was measured. Of fewer than 20 values p95 is the worst."""
    ordered = sorted(values)
    return ordered[max(1, ceil(part * len(ordered))) - 1] if ordered else None


def quantiles(values: Sequence[float]) -> dict[str, float | None]:
    """p50, p95 and the worst."""
    return {
        "p50": nearest_rank(values, 0.5),
        "p95": nearest_rank(values, 0.95),
        "worst": max(values, default=None),
    }


def measured(passes: Iterable[Pass], name: str) -> list[float]:
    """A figure of all passes that measured it."""
    return [value for one in passes if (value := getattr(one, name)) is not None]


def judge_passes(passes: Sequence[Pass], wanted: int, objectives: Objectives) -> list[Finding]:
    """By the worst pass, and each further pass by its own checks."""
    time_, point = objectives.recovery_time_seconds, objectives.recovery_point_seconds
    return [
        _complete(passes, wanted),
        _worst(passes, "recovery_time", "recovery time", lambda _: time_),
        _worst(passes, "recovery_point", "recovery point", lambda _: point),
        _worst(passes, "bound", "recovery point", lambda one: one.bound_seconds),
        *(_own_checks(one) for one in passes if one.number > 1),
    ]


def _complete(passes: Sequence[Pass], wanted: int) -> Finding:
    ended = [one for one in passes if not one.failed and one.recovery_time_seconds is not None]
    broke = [f"pass {one.number}: {one.failed}" for one in passes if one.failed]
    return judge(
        "drill.distribution.complete",
        "every pass ran to its end and was measured",
        passed=len(ended) == wanted,
        observed=f"{len(ended)} of {wanted}" + "".join(f"; {text}" for text in broke),
        expected=f"{wanted} of {wanted}",
        hint="the worst of the passes that are missing is not known: logs/p<number> of this run",
        requirement="D6",
    )


def _worst(
    passes: Sequence[Pass], kind: str, noun: str, limit: Callable[[Pass], float | None]
) -> Finding:
    """Each pass below its limit; the bound is a pass's own, since its push is."""
    figure = "recovery_time_seconds" if kind == "recovery_time" else "recovery_point_seconds"
    is_bound = kind == "bound"
    words = "archive_timeout + push time" if is_bound else f"the {noun} objective"
    title = f"the worst {noun} of all passes stays below {words}"
    identifier = f"drill.distribution.{kind.replace('_', '-')}"
    excused = [o for o in passes if figure in o.not_measured or (is_bound and limit(o) is None)]
    if passes and len(excused) == len(passes):
        why = "this scenario loses no commits" if figure in passes[0].not_measured else "no bound"
        return Finding(
            id=identifier,
            status=Status.NOT_APPLICABLE,
            title=title,
            observed=f"{why}: it recovers to a moment, or the server lives",
            expected="",
            requirement="D6",
        )
    known = [(getattr(o, figure), limit(o), o) for o in passes if getattr(o, figure) is not None]
    over = [one for value, most, one in known if most is None or value >= most]
    shown = quantiles([value for value, _, _ in known])
    most_of = max(
        known, key=lambda row: row[0] - ((row[1] or 0.0) if is_bound else 0.0), default=None
    )
    return judge(
        identifier,
        title,
        passed=False if over else None if len(known) < len(passes) or not known else True,
        observed="not measured"
        if most_of is None
        else f"worst {shown['worst']:.1f} s, p95 {shown['p95']:.1f} s, p50 {shown['p50']:.1f} s "
        f"(nearest rank, n={len(known)} of {len(passes)}); "
        f"{'nearest to its bound' if is_bound else 'the worst'}: pass {most_of[2].number}",
        expected="not measured"
        if most_of is None or most_of[1] is None
        else f"below {most_of[1]:.1f} s, each of {len(passes)}",
        hint="the table of passes names rate and offset; logs/p<number> has what happened",
        requirement="D6",
    )


def _own_checks(one: Pass) -> Finding:
    """The same checks as of a single drill; one that is not good is one of the run."""
    seen = [one.failed] if one.failed else []
    seen += [f"not good: {', '.join(one.bad)}"] if one.bad else []
    return judge(
        f"drill.distribution.pass-{one.number}",
        f"every check of pass {one.number} is good",
        passed=None if one.checks == 0 and not one.failed else not seen,
        observed="; ".join(seen) or f"{one.checks} checks",
        expected="all of them",
        hint="the same ids, and what mends them, are in the runbook's table of troubles",
        requirement="D6",
    )


def table(passes: Sequence[Pass]) -> list[dict[str, Any]]:
    """Pass by pass, then the quantiles."""

    def shown(value: float | None, digits: int = 1) -> str:
        return "not measured" if value is None else f"{value:.{digits}f}"

    rows: list[dict[str, Any]] = [
        {
            "pass": str(one.number),
            "commits a second": f"{one.rate:g}" if one.rate else "full speed",
            "offset (s)": shown(one.offset_seconds),
            "recovery time (s)": shown(one.recovery_time_seconds),
            "recovery point (s)": shown(one.recovery_point_seconds, 2),
            "bound (s)": "none" if one.bound_seconds is None else f"{one.bound_seconds:.1f}",
            "lost": "not counted" if one.lost is None else f"{one.lost:,}",
            "promised": "not counted" if one.promised is None else f"{one.promised:,}",
            "push (s)": shown(one.push_seconds, 2),
            "checks": one.failed or ", ".join(one.bad) or f"{one.checks} good",
        }
        for one in passes
    ]
    times = quantiles(measured(passes, "recovery_time_seconds"))
    points = quantiles(measured(passes, "recovery_point_seconds"))
    for name in ("p50", "p95", "worst"):
        row = dict.fromkeys(rows[0], "") if rows else {}
        row |= {"pass": name, "recovery time (s)": shown(times[name])}
        row |= {"recovery point (s)": shown(points[name], 2)}
        rows.append(row)
    return rows
