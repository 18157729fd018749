"""Charts of the monitoring, drawn from a result alone: panels, alarms' states, what it costs."""

from datetime import UTC, datetime
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
    drawn_figure,
    nothing,
)
from chronos_ops.model.result import Result

SERIES, COST = "monitoring.series", "monitoring.cost"
_COLUMNS = 2
# State, its colour, its hatch.
_STATES: dict[str, tuple[str, str]] = {
    "OK": (BLUE, ""),
    "ALARM": (RED, "////"),
    "INSUFFICIENT_DATA": (PALE, "...."),
}
_GROUPS: tuple[tuple[str, str, str], ...] = (
    ("instance", BLUE, ""),
    ("storage", GREEN, "////"),
    ("requests", ORANGE, "...."),
    ("monitoring", RED, "xxxx"),
    ("keys", GREY, "\\\\\\\\"),
)
Series = dict[str, dict[str, Any]]


def _moment(epoch: float) -> Any:
    return datetime.fromtimestamp(epoch, UTC)


def _span(found: Series, result: Result) -> tuple[float, float]:
    """First and last moment of anything that is drawn (epoch seconds)."""
    moments = [at for each in found.values() for at, _ in [*each["points"], *each["states"]]]
    last = float(result.measures.get(f"{SERIES}.until", max(moments, default=1.0)))
    first = min(moments, default=last - 1)
    return first, max(last, first + 1)


# -- the dashboard's panels


def dashboard_panels(result: Result) -> str:
    """The dashboard's panels, from the same data: datapoints, threshold, time in ALARM.

    From `measures["monitoring.series"]`: {metric: {title, points, threshold, comparison, states}}.
    """
    found: Series = result.measures.get(SERIES) or {}
    if not found:
        return nothing("No metric was read in this run")
    rows = -(-len(found) // _COLUMNS)
    first, last = _span(found, result)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True)
        axes = [grid[row][column] for row in range(rows) for column in range(_COLUMNS)]
        for panel, (metric, each) in zip(axes, found.items(), strict=False):
            _panel(panel, each["title"] or metric, each, last)
            panel.set_xlim(_moment(first), _moment(last))
            panel.xaxis.set_major_formatter(dates(panel))
        for panel in axes[len(found) :]:
            panel.set_axis_off()
        beyond = sum(any(_breaches(each, value) for _, value in each["points"]) for each in
                     found.values())  # fmt: skip
        figure.suptitle(
            f"{len(found)} metrics, {beyond} of them beyond their threshold at some time (UTC)",
            x=0.01,
            ha="left",
            fontsize=12.5,
            fontweight="bold",
        )

    return drawn_figure(0.6 + 1.75 * rows, draw)


def _panel(axes: Axes, title: str, each: dict[str, Any], last: float) -> None:
    axes.set_title(title, fontsize=10, pad=4, fontweight="normal")
    for begin, end, state in _spans(each["states"], last):
        if state == "ALARM":
            axes.axvspan(_moment(begin), _moment(end), color=RED, alpha=0.12, lw=0, zorder=1)
    moments = [_moment(at) for at, _ in each["points"]]
    values = [value for _, value in each["points"]]
    axes.plot(moments, values, color=BLUE, lw=1.2, marker="o", ms=2.5, zorder=3)
    threshold = float(each["threshold"])
    axes.axhline(threshold, color=RED, lw=1.2, ls=(0, (5, 3)), zorder=2)
    low, high = min([*values, threshold]), max([*values, threshold])
    room = (high - low) * 0.12 or abs(high) * 0.12 or 1.0
    axes.set_ylim(low - room, high + room)
    axes.grid(axis="y", color=PALE, lw=0.7, zorder=0)
    axes.tick_params(labelsize=8)
    if not values:
        axes.text(0.5, 0.5, "no datapoints", transform=axes.transAxes, ha="center", color=GREY)


def _breaches(each: dict[str, Any], value: float) -> bool:
    threshold, word = float(each["threshold"]), str(each["comparison"])
    if value == threshold:
        return "OrEqual" in word
    return value > threshold if word.startswith("Greater") else value < threshold


def _spans(states: list[Any], last: float) -> list[tuple[float, float, str]]:
    """Begin, end and name of each state that an alarm went into."""
    ends = [*(at for at, _ in states[1:]), last][: len(states)]
    return [(at, end, state) for (at, state), end in zip(states, ends, strict=True)]


# -- the alarms' states


def alarm_chart(result: Result) -> str:
    """Each alarm on a lane of time: its datapoints, which of them breach, the state it was in."""
    found: Series = result.measures.get(SERIES) or {}
    if not found:
        return nothing("No alarm was looked at in this run")
    first, last = _span(found, result)

    def draw(axes: Axes) -> None:
        seen: set[str] = set()
        for row, each in enumerate(found.values()):
            for begin, end, state in _spans(each["states"], last):
                colour, hatch = _STATES.get(state, (GREY, ""))
                style: Any = {"color": colour, "hatch": hatch, "ec": "white", "lw": 0.6}
                label = "" if state in seen else state
                seen.add(state)
                axes.barh(row + 0.18, _moment(end) - _moment(begin), 0.34, left=_moment(begin),
                          label=label, zorder=3, **style)  # fmt: skip
            _marks(axes, row, each)
        sign = {name: ">" if e["comparison"].startswith("Greater") else "<"
                for name, e in found.items()}  # fmt: skip
        lanes = [f"{name} {sign[name]} {e['threshold']:g}" for name, e in found.items()]
        axes.set_yticks(range(len(lanes)), lanes, fontsize=9)
        axes.set_ylim(len(lanes) - 0.4, -0.6)
        axes.set_xlim(_moment(first), _moment(last))
        axes.xaxis.set_major_formatter(dates(axes))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="both", color=PALE, lw=0.7, zorder=0)
        axes.set_xlabel(
            "UTC; above: datapoints (a cross breaches), below: the alarm's state", loc="left"
        )
        axes.set_title(_alarm_title(found))
        figure: Any = axes.figure
        figure.legend(loc="outside lower left", frameon=False, fontsize=9.5, ncols=3)

    return drawn(1.6 + 0.46 * len(found), draw)


def _marks(axes: Axes, row: int, each: dict[str, Any]) -> None:
    for breaching, colour, mark in ((False, BLUE, "."), (True, RED, "x")):
        moments = [_moment(at) for at, v in each["points"] if _breaches(each, v) is breaching]
        if moments:
            level = [row - 0.18] * len(moments)
            axes.scatter(moments, level, s=14, c=colour, marker=mark, lw=1.0, zorder=4)


def _alarm_title(found: Series) -> str:
    names = [[state for _, state in each["states"]] for each in found.values()]
    rang = sum("ALARM" in states for states in names)
    back = sum("ALARM" in states and states[-1] == "OK" for states in names)
    return f"{rang} of {len(found)} alarms were in ALARM, {back} of them came back to OK"


# -- the money


def cost_chart(result: Result) -> str:
    """The month's cost now and in a year, by what it is for, against plan and budget.

    From `measures["monitoring.cost"]`: {groups: {name: {now, later}}, planned, limit, unknown}.
    """
    cost = result.measures.get(COST)
    if not cost:
        return nothing("No cost was forecast in this run")
    columns = (("now", "now"), ("later", "in a year"))
    totals = [sum(usd[key] for usd in cost["groups"].values()) for key, _ in columns]
    right = max(*totals, cost["limit"]) * 1.16

    def draw(axes: Axes) -> None:
        for row, (key, _) in enumerate(columns):
            left = 0.0
            for name, colour, hatch in _GROUPS:
                both = cost["groups"].get(name, {"now": 0, "later": 0})
                usd = float(both[key])
                style: Any = {"color": colour, "hatch": hatch, "ec": "white", "lw": 0.6}
                label = f"{name} {both['now']:.2f} / {both['later']:.2f}" if row == 0 else ""
                axes.barh(row, usd, 0.5, left=left, label=label, zorder=3, **style)
                left += usd
            axes.text(left + right * 0.008, row, f"{left:.2f}", va="center", fontsize=9.5, zorder=5,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0})  # fmt: skip
        for name, colour in (("planned", INK), ("limit", RED)):
            axes.axvline(cost[name], color=colour, lw=1.6, ls=(0, (5, 3)), zorder=4)
            word = "plan" if name == "planned" else "budget"
            text = f"{word} {cost[name]:g}"
            axes.text(cost[name], -0.52, text, color=colour, ha="right", va="bottom", fontsize=9.5)
        axes.set_yticks(range(len(columns)), [word for _, word in columns])
        axes.set_ylim(len(columns) - 0.5, -0.85)
        axes.set_xlim(0, right)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=PALE, lw=0.7, zorder=0)
        axes.set_xlabel("USD a month, before taxes (below: now / in a year)")
        axes.set_title(_cost_title(cost, max(totals)))
        figure: Any = axes.figure
        figure.legend(loc="outside lower left", frameon=False, fontsize=9.5, ncols=4)

    return drawn(2.6, draw)


def _cost_title(cost: dict[str, Any], most: float) -> str:
    if cost["unknown"]:
        return f"The forecast is not complete: {len(cost['unknown'])} prices or sizes not known"
    if most > cost["limit"]:
        return f"{most:.2f} USD a month: {most - cost['limit']:.2f} over the budget"
    if most > cost["planned"]:
        return f"{most:.2f} USD a month: {most - cost['planned']:.2f} over the plan"
    return f"{most:.2f} USD a month at most: within the plan"
