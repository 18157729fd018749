"""The chart of the production readiness, drawn from a result alone."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from chronos_ops.evidence.drawing import BLUE, GREY, PALE, RED, drawn, nothing
from chronos_ops.model.result import Result

# Colour, hatch, word: of what is there now, and of its evidence.
_NOW: dict[str, tuple[str, str, str]] = {
    "pass": (BLUE, "", "so now"),
    "fail": (RED, "////", "not so"),
    "unknown": (PALE, "....", "not known"),
}
_PROVEN: dict[bool, tuple[str, str, str]] = {
    True: (BLUE, "", "proven"),
    False: (RED, "////", "not proven"),
}


def readiness_chart(result: Result) -> str:
    """The items one below the other: what is there now, and whether it was proven."""
    rows: list[dict[str, Any]] = result.measures.get("readiness") or []
    if not rows:
        return nothing("No item was judged in this run")

    def draw(axes: Axes) -> None:
        for at, row in enumerate(rows):
            _field(axes, 0, at, _NOW[row["live"]])
            _field(axes, 1, at, _PROVEN[row["proven"]])
            ages = dict.fromkeys(e["age"] for e in row["evidence"] if e["age"])
            axes.text(2.06, at, ", ".join(ages) or "no run", va="center", fontsize=9.5, color=GREY)
        axes.set_yticks(range(len(rows)), [str(row["title"]) for row in rows])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_xlim(0, 2.5)
        axes.set_xticks([0.5, 1.5, 2.25], ["now", "evidence", "its age"])
        axes.xaxis.tick_top()
        axes.tick_params(axis="both", length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        ready = sum(bool(row["ready"]) for row in rows)
        axes.set_title(f"{ready} of {len(rows)} items are met: there now, and proven")

    return drawn(1.2 + 0.36 * len(rows), draw)


def _field(axes: Axes, column: int, row: int, look: tuple[str, str, str]) -> None:
    colour, hatch, word = look
    style: Any = {"facecolor": colour, "hatch": hatch, "edgecolor": "white", "lw": 0.6}
    axes.add_patch(Rectangle((column + 0.02, row - 0.38), 0.96, 0.76, zorder=3, **style))
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.6}
    axes.text(column + 0.5, row, word, ha="center", va="center", fontsize=9.5, bbox=behind,
              zorder=5)  # fmt: skip
