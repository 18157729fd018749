"""Charts of several passes and of several sizes: how it is spread, and what is foretold."""

from collections.abc import Sequence
from typing import Any, cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from chronos_ops.evidence.display import duration
from chronos_ops.evidence.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    RED,
    drawn,
    drawn_figure,
    nothing,
)
from chronos_ops.model.result import Result

Row = dict[str, Any]
_NEAR = 3.0  # a limit this many times beyond the worst is told, not drawn: it would dwarf the rest
_MOMENTS = (1, 10, 60, 600, 3600, 36000, 360000)  # seconds, as people count
_DASHED: Any = (0, (5, 3))

# -- distribution


def distribution(result: Result) -> str:
    """Recovery time and point of every pass, in order of size, beside objective and bound.

    From `measures["passes"]` and `["earlier_recovery_points"]`.
    """
    rows: list[Row] = result.measures.get("passes") or []
    times = [row for row in rows if row["recovery_time_seconds"] is not None]
    if not times:
        return nothing("No pass was measured in this run")
    objectives = result.objectives
    most_time = objectives.recovery_time_seconds if objectives else None
    most_point = objectives.recovery_point_seconds if objectives else None
    bounds = [row["bound_seconds"] for row in rows if row.get("bound_seconds") is not None]
    earlier = result.measures.get("earlier_recovery_points") or []

    def draw(figure: Figure) -> None:
        left, right = cast(tuple[Axes, Axes], tuple(figure.subplots(1, 2)))
        _spread(left, rows, "recovery_time_seconds", "recovery time", {"objective": most_time}, [])
        limits = {"objective": most_point, "bound": max(bounds, default=None)}
        _spread(right, rows, "recovery_point_seconds", "recovery point", limits, earlier)
        figure.suptitle(_distribution_title(rows), x=0.01, ha="left", fontsize=12.5, weight="bold")
        told = {
            word: handle
            for axes in (left, right)
            for handle, word in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            [*told.values()],
            [*told],
            loc="outside lower left",
            frameon=False,
            fontsize=9.5,
            ncols=4,
        )

    return drawn_figure(3.9, draw)


def _spread(
    axes: Axes,
    rows: Sequence[Row],
    key: str,
    noun: str,
    limits: dict[str, float | None],
    earlier: Sequence[float],
) -> None:
    known = sorted((row for row in rows if row[key] is not None), key=lambda row: row[key])
    axes.grid(axis="x", color=PALE, lw=0.7, zorder=0)
    axes.set_xlabel(f"{noun} (s)")
    if not known:
        axes.text(0.5, 0.5, f"no {noun}\nin this scenario", ha="center", transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    values = [float(row[key]) for row in known]
    axes.step([values[0], *values], range(len(known) + 1), where="post", color=GREY, lw=1, zorder=2)
    for rank, row in enumerate(known, start=1):
        colour, shape, word = _kind(row["rate"])
        missed = bool(row["bad"] or row["failed"])
        axes.plot(
            row[key],
            rank,
            marker=shape,
            ms=8,
            ls="",
            color=colour,
            mec=RED if missed else colour,
            mew=2 if missed else 1,
            label=word,
            zorder=4,
        )
    if earlier:
        axes.plot(earlier, [0.35] * len(earlier), "|", color=GREY, ms=9, label="earlier drills")
    right = max([*values, *earlier]) or 1.0
    far = []
    for word, limit in limits.items():
        if limit is None:
            continue
        if limit > _NEAR * right:
            far.append(f"{word} {duration(limit)}")
            continue
        colour = RED if word == "objective" else INK
        label = f"{word} of the {noun}" if word == "objective" else "archive_timeout + push"
        axes.axvline(limit, color=colour, lw=1.5, ls=_DASHED, label=label, zorder=3)
        right = max(right, limit)
    axes.set_xlim(0, right * 1.08)
    axes.set_ylim(0, len(known) + 0.6)
    axes.yaxis.set_major_locator(cast(Any, MaxNLocator)(integer=True))
    axes.set_ylabel("passes up to here")
    if far:
        axes.set_title(f"beyond the right edge: {', '.join(far)}", fontsize=9.5, weight="normal")


def _kind(rate: float) -> tuple[str, str, str]:
    if rate == 0:
        return ORANGE, "D", "full speed"
    if rate == 1:
        return GREEN, "s", "1 commit a second"
    return BLUE, "o", f"{rate:g} commits a second"


def _distribution_title(rows: Sequence[Row]) -> str:
    def worst(key: str) -> str:
        values = [row[key] for row in rows if row[key] is not None]
        return duration(max(values)) if values else "not measured"

    said = f"recovery time {worst('recovery_time_seconds')}"
    said += f", recovery point {worst('recovery_point_seconds')}"
    if len(rows) == 1:
        return f"One pass, no distribution: {said}"
    broke = sum(bool(row["failed"]) for row in rows)
    return f"Worst of {len(rows)} passes: {said}" + (f"; {broke} did not end" if broke else "")


# -- forecast


def forecast(result: Result) -> str:
    """Recovery time by size: what was restored, what is foretold, where the objective breaks.

    From `measures["forecast"]`.
    """
    known: Row = result.measures.get("forecast") or {}
    restores: list[Row] = known.get("restores") or []
    if not known or known.get("not_known"):
        why = known.get("not_known") or "no restore was measured in this run"
        return nothing(f"No forecast: {why}")
    curve = [(size, seconds) for size, seconds in known["curve"] if seconds > 0]
    largest = max(row["bytes"] for row in restores)
    objective, size = known["objective_seconds"], known["breaks_at_size"]

    def draw(axes: Axes) -> None:
        within = [point for point in curve if point[0] <= largest]
        beyond = [point for point in curve if point[0] >= largest]
        for part, style, word in (
            (within, "-", "foretold"),
            ([*within[-1:], *beyond], ":", "foretold, larger than any that was restored"),
        ):
            axes.plot(*zip(*part, strict=True), color=BLUE, ls=style, lw=1.8, label=word, zorder=3)
        axes.scatter(
            [row["bytes"] for row in restores],
            [row["seconds"] for row in restores],
            color="white",
            edgecolor=INK,
            s=36,
            label=f"restored and measured ({len(restores)})",
            zorder=4,
        )
        axes.axhline(objective, color=RED, lw=1.5, ls=_DASHED, zorder=2)
        axes.text(curve[0][0], objective * 1.08, f"objective {duration(objective)}", color=RED,
                  va="bottom", fontsize=9.5)  # fmt: skip
        if size:
            axes.plot([size, size], [curve[0][1] / 3, objective], color=RED, lw=1.2, zorder=2)
            axes.plot(size, objective, "X", color=RED, ms=9, zorder=5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(curve[0][0], max(curve[-1][0], (size or 0) * 1.5))
        axes.xaxis.set_major_formatter(lambda value, _: _size(float(value)))
        axes.set_yticks(_MOMENTS, [duration(moment) for moment in _MOMENTS])
        axes.yaxis.set_minor_locator(cast(Any, NullLocator)())
        axes.grid(color=PALE, lw=0.7, zorder=0)
        axes.set_ylim(curve[0][1] / 3, max(curve[-1][1], objective * 2.2))
        axes.set_xlabel(f"size of the backup, with {_size(known['wal'])} of WAL: {known['label']}")
        axes.set_ylabel("recovery time")
        axes.set_title(_forecast_title(known))
        # opaque: the line where the objective breaks may pass behind it
        axes.legend(loc="lower right", edgecolor="none", framealpha=1, fontsize=9.5)

    return drawn(4.4, draw)


def _forecast_title(known: Row) -> str:
    size, objective = known["breaks_at_size"], duration(known["objective_seconds"])
    at = "at no size that was seen" if size is None else f"at {_size(size)}"
    if size == 0:
        at = "at any size"
    return f"{known['label'][:1].upper()}{known['label'][1:]}: {objective} breaks {at}"


def _size(value: float) -> str:
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if value >= unit:
            return f"{value / unit:,.3g} {name}"
    return f"{value / 1e3:,.3g} kB"
