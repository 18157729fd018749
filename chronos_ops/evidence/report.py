"""Tables and charts, drawn from a result alone: those of the drill, backups and hardening.

A chart is an SVG text: the same bytes whenever it is drawn from the same result.json.
"""

from typing import Any, cast

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from chronos_ops.evidence.display import duration
from chronos_ops.evidence.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    RED,
    dates,
    drawn,
    nothing,
)
from chronos_ops.model.result import Result

_KINDS = {"full": (BLUE, "o", 90), "diff": (ORANGE, "D", 50), "incr": (GREEN, "s", 50)}


# -- phases


def phases(result: Result) -> pd.DataFrame:
    """Phases of the recovery: begin (seconds after the first one's) and duration."""
    begun = pd.to_datetime([phase.started_at for phase in result.phases], utc=True)
    frame = pd.DataFrame(
        {
            "phase": [phase.name.replace("_", " ") for phase in result.phases],
            "began": [moment.total_seconds() for moment in begun - begun.min()],
            "seconds": [phase.seconds for phase in result.phases],
        }
    )
    return frame.sort_values("began", kind="stable", ignore_index=True)


def waterfall(result: Result) -> str:
    """Phases of the recovery one below the other, against the objective."""
    if not result.phases:
        return nothing("No recovery was measured in this run")
    frame = phases(result)
    achieved = result.achieved.recovery_time_seconds
    excused = "recovery_time_seconds" in result.measures.get("not_measured", {})
    wanted = None if excused else result.objectives
    objective = wanted.recovery_time_seconds if wanted else None
    end = float((frame["began"] + frame["seconds"]).max())

    def draw(axes: Axes) -> None:
        near = objective is not None and objective <= 3 * end
        right = max(end, objective or 0) if near else end
        for row, (_name, began, seconds) in enumerate(frame.itertuples(index=False)):
            axes.barh(row, seconds, left=began, color=BLUE, height=0.62, zorder=3)
            over = began + seconds - max(began, objective if objective is not None else end)
            if over > 0:  # what lies beyond the objective
                at = began + seconds - over
                axes.barh(row, over, 0.62, left=at, color=RED, hatch="////", ec="white", zorder=3)
            if row:
                axes.plot([began, began], [row - 0.69, row - 0.31], color=GREY, lw=0.8, zorder=2)
            _beside(axes, row, began, seconds, right)
        axes.set_yticks(range(len(frame)), [str(name) for name in frame["phase"]])
        axes.invert_yaxis()
        axes.set_xlim(0, right * 1.14)
        since = "the fault" if result.phases[0].name == "detect" else "the first phase began"
        axes.set_xlabel(f"seconds since {since}" if right < 600 else f"time since {since}")
        if right >= 600:
            axes.xaxis.set_major_formatter(lambda value, _: duration(float(value)))
        if near and objective is not None:
            axes.axvline(objective, color=RED, lw=1.6, ls=(0, (5, 3)), zorder=4)
            label = f"objective {duration(objective)}"
            axes.text(objective, -0.62, label, color=RED, ha="right", va="bottom", fontsize=9.5)
        axes.grid(axis="x", color=PALE, lw=0.7, zorder=0)
        axes.tick_params(axis="y", length=0)
        title = _waterfall_title(achieved, objective)
        axes.set_title("No recovery that the objective is for" if excused else title)

    return drawn(1.5 + 0.42 * len(frame), draw)


def _beside(axes: Axes, row: int, began: float, seconds: float, right: float) -> None:
    at = began + seconds + right * 0.008
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}
    axes.text(at, row, duration(seconds), va="center", fontsize=9.5, bbox=behind, zorder=5)


def _waterfall_title(achieved: float | None, objective: float | None) -> str:
    if achieved is None:
        return "The recovery was not measured to its end"
    said = f"Recovered and verified in {duration(achieved)}"
    if objective is None:
        return said
    if achieved >= objective:
        return f"{said}: {duration(achieved - objective)} over the objective"
    return f"{said}: {achieved / objective:.1%} of the objective of {duration(objective)}"


# -- commits


def commits(result: Result) -> str:
    """Commits acknowledged and recovered around the fault, second by second.

    From `measures["commits"]`: rows of {second (relative to the fault), acknowledged, recovered}.
    """
    rows = result.measures.get("commits")
    if not rows:
        return nothing("No outside writer ran in this scenario")
    frame = pd.DataFrame(rows).sort_values("second", ignore_index=True)
    bucket = float(result.measures.get("commits_bucket_seconds", 1.0))
    gap = result.achieved.recovery_point_seconds or 0.0

    def draw(axes: Axes) -> None:
        left = frame["second"].to_numpy(dtype=float)
        lost = (frame["acknowledged"] - frame["recovered"]).clip(lower=0)
        axes.bar(
            left,
            frame["recovered"],
            width=bucket,
            align="edge",
            color=BLUE,
            label="recovered",
            zorder=3,
        )
        gone = lost > 0
        axes.bar(
            left[gone],
            lost[gone],
            width=bucket,
            align="edge",
            bottom=frame["recovered"][gone],
            color="white",
            edgecolor=RED,
            hatch="////",
            lw=0.6,
            label="acknowledged and not recovered",
            zorder=3,
        )
        top = float(frame["acknowledged"].max()) * 1.3 or 1.0
        if gap > 0:
            axes.axvspan(-gap, 0, color=RED, alpha=0.09, lw=0, zorder=1)
            _span(axes, gap, top * 0.9)
        axes.axvline(0, color=INK, lw=1.6, zorder=4)
        axes.text(0, top * 0.99, " fault", ha="left", va="top", fontsize=9.5)
        axes.set_ylim(0, top)
        begin = min(float(left.min()), -1.02 * gap)
        axes.set_xlim(begin, max(float(left.max()) + bucket, 0.08 * (bucket - begin)))
        axes.set_xlabel("seconds before and after the fault")
        axes.set_ylabel("commits a second" if bucket == 1 else f"commits in {bucket:g} s")
        axes.grid(axis="y", color=PALE, lw=0.7, zorder=0)
        axes.set_title(_commits_title(result, int(lost.sum())))
        figure: Any = axes.figure
        figure.legend(loc="outside lower left", frameon=False, fontsize=9.5, ncols=2)

    return drawn(3.5, draw)


def _span(axes: Axes, gap: float, height: float) -> None:
    ends = {"arrowstyle": "<->", "color": RED, "lw": 1.2, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (0, height), (-gap, height), arrowprops=ends)
    text = f"achieved recovery point {duration(gap)}"
    axes.text(-gap, height * 1.01, text, color=RED, ha="left", va="bottom", fontsize=9.5)


def _commits_title(result: Result, missing: int) -> str:
    achieved = result.achieved
    number = missing if achieved.lost_commits is None else achieved.lost_commits
    if number == 0:
        given = achieved.given_up_commits
        more = f", {given:,} after the target given up" if given else ""
        return f"No promised commit was lost{more}"
    point = achieved.recovery_point_seconds
    back = "" if point is None else f": those of the last {duration(point)} before the fault"
    return f"{number:,} acknowledged commits were lost{back}"


# -- restore points


def restore_points(result: Result) -> str:
    """The backups that exist, by repository and kind, on a line of time.

    From `measures["backup_sets"]`: rows of {repository, type (full, diff, incr), stopped (UTC)}.
    """
    rows = result.measures.get("backup_sets")
    if not rows:
        return nothing("No backup set exists")
    frame = pd.DataFrame(rows)
    frame["stopped"] = pd.to_datetime(frame["stopped"], utc=True, format="ISO8601")
    lanes = sorted(frame["repository"].unique())
    first, last = frame["stopped"].min(), frame["stopped"].max()
    room = max((last - first) * 0.06, pd.Timedelta(minutes=1))

    def draw(axes: Axes) -> None:
        for kind, (colour, shape, size) in _KINDS.items():
            part = frame[frame["type"] == kind]
            places = [lanes.index(name) for name in part["repository"]]
            if places:
                axes.scatter(
                    part["stopped"], places, s=size, c=colour, marker=shape, label=kind, zorder=3
                )
        axes.set_xlim(first - room, last + room)
        axes.xaxis.set_major_formatter(dates(axes))
        axes.set_yticks(range(len(lanes)), lanes)
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="both", color=PALE, lw=0.7, zorder=0)
        axes.set_xlabel("end of the backup (UTC)")
        backups = "1 backup" if len(frame) == 1 else f"{len(frame)} backups"
        plural = "repository" if len(lanes) == 1 else "repositories"
        axes.set_title(f"{backups} in {len(lanes)} {plural}, back to {first:%Y-%m-%d %H:%M} UTC")
        figure: Any = axes.figure
        figure.legend(loc="outside lower left", frameon=False, fontsize=9.5, ncols=3)

    return drawn(1.9 + 0.5 * len(lanes), draw)


# -- controls

# Status, its colour, its hatch, its word. What is bad stands at the bar's root, hatched.
_STATES: tuple[tuple[str, str, str, str], ...] = (
    ("fail", RED, "////", "failed"),
    ("error", ORANGE, "xxxx", "broke"),
    ("unknown", ORANGE, "....", "unknown"),
    ("accepted", GREEN, "....", "accepted, with a date"),
    ("pass", BLUE, "", "passed"),
    ("not_applicable", PALE, "", "does not apply"),
)


def controls(result: Result) -> str:
    """Controls of the audit by area and status: before (thin bars) and after (thick ones).

    From `measures["audit_before"]` and `["audit_after"]`: {area: {status: count}}.
    """
    after = result.measures.get("audit_after")
    if not after:
        return nothing("No control was judged in this run")
    before = result.measures.get("audit_before") or {}
    areas = sorted({*after, *before})

    def draw(axes: Axes) -> None:
        for counts, shift, height in ((before, -0.27, 0.2), (after, 0.13, 0.44)):
            for row, area in enumerate(areas):
                _stack(axes, row + shift, height, counts.get(area, {}))
        axes.set_yticks(range(len(areas)), [str(area) for area in areas])
        axes.set_ylim(len(areas) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=PALE, lw=0.7, zorder=0)
        axes.xaxis.set_major_locator(cast(Any, MaxNLocator)(integer=True))
        thin = "thin bars: before, thick bars: after" if before else "not looked at before"
        axes.set_xlabel(f"controls ({thin})")
        axes.set_title(_controls_title(before, after))
        for state, colour, hatch, word in _STATES:
            if any(c.get(state) for counts in (before, after) for c in counts.values()):
                style: Any = {"color": colour, "hatch": hatch, "ec": "white", "lw": 0}
                axes.barh(0, 0, label=word, **style)
        figure: Any = axes.figure
        figure.legend(loc="outside lower left", frameon=False, fontsize=9.5, ncols=5)

    return drawn(1.7 + 0.46 * len(areas), draw)


def _stack(axes: Axes, at: float, height: float, counts: Any) -> None:
    left = 0
    for state, colour, hatch, _word in _STATES:
        if number := int(counts.get(state, 0)):
            style: Any = {"color": colour, "hatch": hatch, "ec": "white", "lw": 0.6}
            axes.barh(at, number, height, left=left, zorder=3, **style)
            left += number


def _controls_title(before: Any, after: Any) -> str:
    def bad(areas: Any) -> int:
        return sum(int(c.get(s, 0)) for c in areas.values() for s in ("fail", "error", "unknown"))

    number = sum(int(n) for counts in after.values() for n in counts.values())
    was = f"{bad(before)} before, " if before else ""
    return f"Controls not passed: {was}{bad(after)} {'after ' if before else ''}(of {number})"
