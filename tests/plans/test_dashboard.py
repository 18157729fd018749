"""The dashboard: a panel for each alarm, put back exactly, nothing to do the second time (M5)."""

import json
from typing import Any

from chronos_ops.facts import cloudwatch
from chronos_ops.model.plan import CallAws
from chronos_ops.plans import dashboard
from chronos_ops.plans.alarms import declared
from tests.monitoring.standing import settings


def applied(former: dict[str, Any] | None) -> tuple[CallAws, CallAws]:
    """The call of the only change, and its undo."""
    change = dashboard.plan(settings(), {"dashboard": former}).changes[0]
    (deed,), (undo,) = change.deeds, change.undo
    assert isinstance(deed, CallAws)
    assert isinstance(undo, CallAws)
    return deed, undo


def test_a_panel_for_each_alarm_with_its_threshold() -> None:
    target = settings()
    widgets = dashboard.body(target)["widgets"]
    alarms = {d.alarm.metric: d.alarm for d in declared(target).values()}
    panels = {w["properties"]["metrics"][0][1]: w for w in widgets if w["type"] == "metric"}
    assert set(panels) == set(alarms)
    for metric, widget in panels.items():
        alarm, properties = alarms[metric], widget["properties"]
        assert properties["metrics"] == [["Chronos", metric, "Host", "project-chronos"]]
        assert properties["annotations"]["horizontal"][0]["value"] == alarm.threshold
        assert (properties["period"], properties["stat"]) == (300, alarm.statistic)
        assert properties["region"] == "ca-central-1"
    assert panels["disk_used_percent"]["properties"]["annotations"]["horizontal"][0] == {
        "label": "ALARM > 80 for 10 min",
        "value": 80,
        "color": "#d55e00",
        "fill": "above",
    }
    assert len(widgets[0]["properties"]["alarms"]) == len(alarms) == len(panels)


def test_panels_do_not_lie_over_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for w in dashboard.body(settings())["widgets"]:
        cells = {
            (x, y)
            for x in range(w["x"], w["x"] + w["width"])
            for y in range(w["y"], w["y"] + w["height"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_made_once_and_then_left_alone() -> None:
    deed, undo = applied(None)
    assert (deed.operation, undo.operation) == ("PutDashboard", "DeleteDashboards")
    read = cloudwatch.dashboard("chronos").parse(
        {"DashboardBody": deed.arguments["DashboardBody"], "DashboardName": "chronos"}
    )
    again = dashboard.plan(settings(), {"dashboard": read})
    assert again.empty
    assert again.noop_reason == f"chronos has its {len(declared(settings()))} panels"


def test_what_somebody_made_of_it_comes_back_by_the_undo() -> None:
    theirs = {"widgets": [{"type": "text", "properties": {"markdown": "mine"}}]}
    deed, undo = applied(theirs)
    assert json.loads(deed.arguments["DashboardBody"]) == dashboard.body(settings())
    assert undo.operation == "PutDashboard"
    assert json.loads(undo.arguments["DashboardBody"]) == theirs
