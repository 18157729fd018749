"""The chart of the PITR matrix: commits on either side of each target, there or not."""

from typing import Any

from matplotlib.axes import Axes

from chronos_ops.evidence.drawing import BLUE, GREY, INK, PALE, RED, drawn, nothing
from chronos_ops.model.result import Result

Row = dict[str, Any]


def matrix(result: Result) -> str:
    """A row a target: the commits next to it, full where they are back.

    From `measures["pitr_cells"]`: rows of {cell, before, after (nearest last), status}.
    """
    rows: list[Row] = result.measures.get("pitr_cells") or []
    if not rows:
        return nothing("No matrix of recovery targets in this scenario")
    good = sum(row["status"] == "pass" for row in rows)

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=INK, lw=1.4, zorder=2)
        for place, row in enumerate(rows):
            axes.axhline(place, color=PALE, lw=0.7, zorder=0)
            _commits(axes, place, -1, row.get("before", []), wanted=True)
            _commits(axes, place, 1, row.get("after", []), wanted=False)
            if row["status"] != "pass":
                axes.text(5.4, place, row["status"], color=RED, va="center", fontweight="bold")
        axes.set_yticks(range(len(rows)), [row["cell"].replace("-", " ") for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.9)
        axes.set_xlim(-5.6, 6.4)
        axes.set_xticks(range(-5, 6), [f"{n:+d}" if n else "target" for n in range(-5, 6)])
        axes.set_xlabel("commits before and after the target: full = back, hollow = not back")
        axes.tick_params(axis="y", length=0)
        axes.set_title(f"{good} of {len(rows)} targets reached exactly, seen from both sides")

    return drawn(1.6 + 0.3 * len(rows), draw)


def _commits(axes: Axes, place: int, side: int, back: list[bool], *, wanted: bool) -> None:
    """The last of `back` lies next to the target; red is what should not be so."""
    for distance, there in enumerate(reversed(back), 1):
        colour = (BLUE if wanted else GREY) if there is wanted else RED
        fill = colour if there else "white"
        axes.scatter(side * distance, place, s=42, color=fill, edgecolors=colour, zorder=3)
