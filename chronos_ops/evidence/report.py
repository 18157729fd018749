"""Charts of a run, drawn from its result alone: the same result gives the same bytes.

Every function takes a `Result` and returns SVG text. The only matplotlib and pandas importer.
Colours are those of Okabe and Ito, told apart by colour-blind eyes too.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from chronos_ops.model.result import Result

BLUE, SKY, GREEN, ORANGE, RED, GREY = (
    "#0072B2",
    "#56B4E9",
    "#009E73",
    "#E69F00",
    "#D55E00",
    "#6B7280",
)
PHASE_COLOURS = {
    "detect": ORANGE,
    "provision": SKY,
    "restore": BLUE,
    "recovery": "#3B4CC0",
    "promote": "#CC79A7",
    "first_write": GREEN,
    "verify": GREY,
}
STYLE: Any = {  # a dictionary of settings; matplotlib types their names one by one
    "svg.hashsalt": "chronos-ops",  # ids in the SVG do not change from one drawing to the next
    "svg.fonttype": "none",  # text stays text: searchable, and small
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": "#9CA3AF",
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlepad": 14,
    "axes.axisbelow": True,
    "grid.color": "#E5E7EB",
    "xtick.color": "#4B5563",
    "ytick.color": "#111827",
    "ytick.major.size": 0,
}


@contextmanager
def _figure(height: float, title: str) -> Iterator[tuple[Axes, list[str]]]:
    """Axes 9 inches wide in our style; the SVG is appended to the list at the end."""
    drawn: list[str] = []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, height), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(title)
        yield axes, drawn
        sink = io.StringIO()
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": "chronos-ops"})
    drawn.append(sink.getvalue())


def duration(seconds: float) -> str:
    """Seconds for people: `8.3 s`, `4 min 05 s`, `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {round(seconds % 60):02d} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"


def phases_table(result: Result) -> pd.DataFrame:
    """One row a phase: name, start and end in seconds from the first phase's begin."""
    rows, reached = [], 0.0
    for phase in result.phases:
        rows.append({"phase": phase.name, "start": reached, "seconds": phase.seconds})
        reached += phase.seconds
    frame = pd.DataFrame(rows, columns=["phase", "start", "seconds"])
    frame["end"] = frame["start"] + frame["seconds"]
    return frame


def waterfall(result: Result) -> str:
    """Phases of the recovery one after another, against the objective."""
    frame = phases_table(result)
    if frame.empty:
        return _nothing("No recovery was measured in this run")
    total = float(frame["end"].max())
    objective = result.objectives.recovery_time_seconds if result.objectives else None
    with _figure(1.6 + 0.42 * len(frame), _waterfall_title(total, objective)) as (axes, drawn):
        starts = [float(value) for value in frame["start"]]
        for place, (phase, start) in enumerate(zip(result.phases, starts, strict=True)):
            colour = PHASE_COLOURS.get(phase.name, BLUE)
            axes.barh(place, phase.seconds, left=start, height=0.62, color=colour)
            axes.annotate(
                duration(phase.seconds),
                (start + phase.seconds, place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                color="#111827",
            )
            if place:
                axes.plot([start, start], [place - 1, place], color="#9CA3AF", lw=0.8, zorder=0)
        limit = total * 1.14
        if objective is not None and objective <= total * 1.6:
            limit = max(limit, objective * 1.05)
            axes.axvline(objective, color=RED, lw=1.6)
            axes.text(objective, len(starts) - 0.45, " objective", color=RED, va="top")
        axes.set_yticks(range(len(starts)), [p.name.replace("_", " ") for p in result.phases])
        axes.set_ylim(len(starts) - 0.4, -0.6)
        axes.set_xlim(0, limit)
        axes.grid(axis="x")
        axes.set_xlabel(_waterfall_axis(objective, total))
    return drawn[0]


def _waterfall_title(total: float, objective: float | None) -> str:
    if objective is None:
        return f"Recovered and verified in {duration(total)}"
    if total > objective:
        return f"Objective missed: {duration(total)} against {duration(objective)}"
    return f"Recovered and verified in {duration(total)}, objective {duration(objective)}"


def _waterfall_axis(objective: float | None, total: float) -> str:
    text = "seconds since the fault"
    if objective is not None and objective > total * 1.6:
        text += f" (the objective, {duration(objective)}, is far to the right)"
    return text


def commits(result: Result) -> str:
    """Acknowledged commits around the fault, second by second: recovered, lost, given up."""
    rows = result.measures.get("commits") or []
    if not rows:
        return _nothing("No outside writer ran in this scenario")
    frame = pd.DataFrame(rows).sort_values("second")
    frame["missing"] = frame["acknowledged"] - frame["recovered"]
    width = float(result.measures.get("commits_bucket_seconds", 1.0))
    with _figure(3.4, _commits_title(result, frame)) as (axes, drawn):
        left = frame["second"]
        common: dict[str, Any] = {"width": width * 0.92, "align": "edge"}
        axes.bar(left, frame["recovered"], color=BLUE, label="acknowledged and recovered", **common)
        axes.bar(
            left,
            frame["missing"],
            bottom=frame["recovered"],
            color=RED,
            hatch="///",
            edgecolor="white",
            lw=0,
            label="acknowledged, not there after the recovery",
            **common,
        )
        axes.axvline(0, color="#111827", lw=1.4)
        axes.annotate(
            "fault",
            (0, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -2),
            textcoords="offset points",
            va="top",
        )
        axes.grid(axis="y")
        axes.set_xlabel("seconds from the fault")
        axes.set_ylabel("commits a second")
        axes.legend(frameon=False, loc="upper left", ncols=2, bbox_to_anchor=(0, -0.18))
    return drawn[0]


def _commits_title(result: Result, frame: pd.DataFrame) -> str:
    achieved = result.achieved
    if achieved.lost_commits is None:
        return "Commits around the fault"
    promised = int(frame["acknowledged"].sum())
    if achieved.lost_commits == 0:
        given = achieved.given_up_commits
        more = f", {given} after the target given up" if given else ""
        return f"No promised commit was lost{more}"
    span = achieved.recovery_point_seconds
    back = "" if span is None else f": the last {duration(span)}"
    return f"{achieved.lost_commits} of {promised} acknowledged commits were lost{back}"


def restore_points(result: Result) -> str:
    """The backups that exist, by repository and kind, on a line of time."""
    rows = result.measures.get("backup_sets") or []
    if not rows:
        return _nothing("No backup set exists")
    frame = pd.DataFrame(rows)
    frame["stopped"] = pd.to_datetime(frame["stopped"], utc=True)
    lanes = sorted(frame["repository"].unique())
    title = f"{len(frame)} restore points in {len(lanes)} repositories"
    marks = {"full": ("o", BLUE, 90), "diff": ("D", ORANGE, 50), "incr": ("s", GREEN, 50)}
    with _figure(1.7 + 0.5 * len(lanes), title) as (axes, drawn):
        for kind, (mark, colour, size) in marks.items():
            part = frame[frame["type"] == kind]
            if part.empty:
                continue
            places = [lanes.index(name) for name in part["repository"]]
            axes.scatter(part["stopped"], places, marker=mark, c=colour, s=size, label=kind)
        first, last = frame["stopped"].min(), frame["stopped"].max()
        room = max((last - first) * 0.05, timedelta(minutes=1))
        axes.set_xlim(first - room, last + room)
        axes.set_yticks(range(len(lanes)), lanes)
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.set_xlabel("end of the backup (UTC)")
        axes.legend(frameon=False, loc="upper left", ncols=3, bbox_to_anchor=(0, -0.28))
    return drawn[0]


def _nothing(text: str) -> str:
    """A chart that says that there is nothing to draw, and why."""
    with _figure(1.1, text) as (axes, drawn):
        axes.axis("off")
    return drawn[0]
