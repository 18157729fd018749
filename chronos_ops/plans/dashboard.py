"""The dashboard as code: the alarms' states, and one panel for each alarm (M5)."""

from typing import Any

from chronos_ops.facts import cloudwatch
from chronos_ops.model.alarm import Alarm
from chronos_ops.model.metrics import BY_NAME
from chronos_ops.model.plan import CallAws, Change, Deed, Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.alarms import declared
from chronos_ops.plans.documents import shown

_COLUMNS, _WIDTH, _HEIGHT, _STATES_HEIGHT = 2, 12, 6, 3  # of CloudWatch's grid, 24 wide
_RED = "#d55e00"


def body(settings: Settings) -> dict[str, Any]:
    """Source: CloudWatch User Guide, "Dashboard body structure and syntax"."""
    alarms = [d.alarm for d in declared(settings).values()]
    states = {
        "type": "alarm",
        "x": 0,
        "y": 0,
        "width": _COLUMNS * _WIDTH,
        "height": _STATES_HEIGHT,
        "properties": {
            "title": f"Alarms of {settings.host.instance}",
            "alarms": [alarm_arn(settings, alarm.name) for alarm in alarms],
        },
    }
    panels = [_panel(settings, alarm, number) for number, alarm in enumerate(alarms)]
    return {"periodOverride": "inherit", "start": "-PT3H", "widgets": [states, *panels]}


def alarm_arn(settings: Settings, name: str) -> str:
    aws = settings.aws
    return f"arn:aws:cloudwatch:{aws.region}:{aws.account_id}:alarm:{name}"


def _panel(settings: Settings, alarm: Alarm, number: int) -> dict[str, Any]:
    above = alarm.comparison.startswith("Greater")
    dimensions = [word for pair in sorted(alarm.dimensions.items()) for word in pair]
    minutes = alarm.period_seconds * alarm.evaluation_periods / 60
    threshold = {
        "label": f"ALARM {'>' if above else '<'} {alarm.threshold:g} for {minutes:g} min",
        "value": alarm.threshold,
        "color": _RED,
        "fill": "above" if above else "below",
    }
    return {
        "type": "metric",
        "x": number % _COLUMNS * _WIDTH,
        "y": _STATES_HEIGHT + number // _COLUMNS * _HEIGHT,
        "width": _WIDTH,
        "height": _HEIGHT,
        "properties": {
            "title": BY_NAME[alarm.metric].title,
            "view": "timeSeries",
            "stacked": False,
            "region": settings.aws.region,
            "period": alarm.period_seconds,
            "stat": alarm.statistic,
            "metrics": [[alarm.namespace, alarm.metric, *dimensions]],
            "annotations": {"horizontal": [threshold]},
        },
    }


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """The dashboard of that name."""
    return {"dashboard": cloudwatch.dashboard(settings.monitoring.dashboard)}


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Make it, or put it back as declared."""
    name, wanted, former = settings.monitoring.dashboard, body(settings), values["dashboard"]
    panels = len(wanted["widgets"]) - 1
    if former == wanted:
        return Plan(name="dashboard", noop_reason=f"{name} has its {panels} panels")
    undo: Deed = CallAws(
        service="cloudwatch", operation="DeleteDashboards", arguments={"DashboardNames": [name]}
    )
    if former is not None:
        undo = _put(name, former)
    change = Change(
        id="cloudwatch.dashboard",
        title=f"{'make' if former is None else 'mend'} the dashboard {name}: {panels} panels",
        why="what the alarms watch, with their thresholds, on one page",
        deeds=(_put(name, wanted),),
        undo=(undo,),
        before=shown(former or {}),
        after=shown(wanted),
        creates=f"cloudwatch:dashboard/{name}" if former is None else "",
    )
    return Plan(name="dashboard", changes=(change,))


def _put(name: str, document: dict[str, Any]) -> CallAws:
    arguments = {"DashboardName": name, "DashboardBody": shown(document)}
    return CallAws(service="cloudwatch", operation="PutDashboard", arguments=arguments)


DASHBOARD = Stage("dashboard", facts, plan)
