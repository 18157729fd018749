"""The chart of the fault catalogue, drawn from a result alone."""

from typing import Any

from matplotlib.axes import Axes

from chronos_ops.evidence.drawing import BLUE, GREY, PALE, RED, drawn, nothing
from chronos_ops.model.result import Result


def detection_chart(result: Result) -> str:
    """Seconds from the strike to the finding that names it, one fault below the other."""
    rows: list[dict[str, Any]] = result.measures.get("faults") or []
    if not rows:
        return nothing("No fault was tried in this run")
    score = result.measures["score"]
    longest = max([row["seconds"] or 0.0 for row in rows]) or 1.0

    def draw(axes: Axes) -> None:
        for at, row in enumerate(rows):
            if row["detected"]:
                axes.barh(at, row["seconds"] or 0.0, color=BLUE, height=0.66, zorder=3)
                word = "" if row["seconds"] is None else f"{row['seconds']:.1f} s"
            else:
                axes.barh(at, longest, color="white", ec=RED, hatch="////", height=0.66, zorder=3)
                word = f"not tried: {row['error']}"[:40] if row["error"] else "not named"
            beside = (row["seconds"] or 0.0) if row["detected"] else longest
            axes.text(beside + longest * 0.012, at, word, va="center", fontsize=9, color=GREY)
        names = [f"{row['fault'].replace('_', ' ')}  ({row['number']})" for row in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_xlim(0, longest * 1.16)
        axes.set_xlabel("seconds from the strike to the finding that names it")
        axes.grid(axis="x", color=PALE, lw=0.7, zorder=0)
        axes.tick_params(axis="y", length=0)
        axes.set_title(
            f"{score['detected']} of {score['total']} faults named, "
            f"{score['false_alarms']} false alarms in {score['controls']} quiet runs"
        )

    return drawn(1.4 + 0.27 * len(rows), draw)
