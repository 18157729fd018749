"""Charts of the monitoring: the same bytes, titles that say the finding, nothing out of nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from chronos_ops.evidence import report_monitoring as report
from chronos_ops.model.result import Result
from tests.evidence.test_report import drilled, words

Draw = Callable[[Result], str]
T0 = 1_763_850_000.0
CHARTS: list[Draw] = [report.dashboard_panels, report.alarm_chart, report.cost_chart]


def series(**changes: Any) -> dict[str, Any]:
    disk = {
        "title": "disk used",
        "points": [[T0 + 10 * n, v] for n, v in enumerate([40, 41, 90, 91, 90, 42, 42])],
        "threshold": 80.0,
        "comparison": "GreaterThanThreshold",
        "states": [[T0 + 5, "OK"], [T0 + 40, "ALARM"], [T0 + 60, "OK"]],
    }
    heartbeat = {
        "title": "publisher's heartbeat",
        "points": [[T0 + 10 * n, 1.0] for n in (0, 1, 2, 6)],
        "threshold": 1.0,
        "comparison": "LessThanThreshold",
        "states": [[T0 + 1, "INSUFFICIENT_DATA"], [T0 + 10, "OK"], [T0 + 50, "ALARM"]],
    }
    silent = disk | {"title": "swap used", "points": [], "states": []}
    found = {"disk_used_percent": disk, "heartbeat": heartbeat, "swap_used_percent": silent}
    return {"monitoring.series": found | changes, "monitoring.series.until": T0 + 70}


def cost(now: float = 12.2, requests: float = 1.66, **changes: Any) -> dict[str, Any]:
    groups = {
        "instance": {"now": now, "later": now},
        "requests": {"now": requests, "later": requests},
        "storage": {"now": 0.0, "later": 0.45},
    }
    found = {"groups": groups, "unknown": [], "planned": 14.0, "limit": 25.0}
    return {"monitoring.cost": found | changes}


def measured(**changes: Any) -> Result:
    return drilled(measures=series() | cost() | changes)


@pytest.mark.parametrize("draw", CHARTS)
def test_the_same_bytes_each_time_and_nothing_out_of_nothing(draw: Draw) -> None:
    assert draw(measured()) == draw(measured())
    empty = words(draw(drilled(measures={})))
    assert "No " in empty
    assert "in this run" in empty


def test_a_panel_for_each_metric_and_what_went_beyond() -> None:
    said = words(report.dashboard_panels(measured()))
    assert "3 metrics, 1 of them beyond their threshold" in said
    for title in ("disk used", "publisher's heartbeat", "swap used", "no datapoints"):
        assert title in said


def test_which_alarms_rang_and_came_back() -> None:
    said = words(report.alarm_chart(measured()))
    assert "2 of 3 alarms were in ALARM, 1 of them came back to OK" in said
    assert "disk_used_percent > 80" in said
    assert "heartbeat < 1" in said
    assert "INSUFFICIENT_DATA" in said


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "14.31 USD a month: 0.31 over the plan"),
        ({"requests": 1.0}, "13.65 USD a month at most: within the plan"),
        ({"now": 24.0}, "26.11 USD a month: 1.11 over the budget"),
        ({"unknown": ["instance x (y)"]}, "The forecast is not complete: 1 prices or sizes"),
    ],
)
def test_the_title_says_whether_the_money_suffices(changes: dict[str, Any], title: str) -> None:
    said = words(report.cost_chart(drilled(measures=cost(**changes))))
    assert title in said
    assert "plan 14" in said
    assert "budget 25" in said
