"""What the metrics were lately, and the alarms' states: the dashboard's panels, as data (M5)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_ops.execution.context import Context
from chronos_ops.facts import cloudwatch
from chronos_ops.model.alarm import Alarm
from chronos_ops.model.metrics import BY_NAME
from chronos_ops.model.outcome import Outcome
from chronos_ops.monitoring.back_test import deployed_alarms
from chronos_ops.monitoring.flow import samples

MEASURE = "monitoring.series"
_PERIODS = 90  # of the alarms, back from now


def series(context: Context) -> Outcome:
    """Read every alarm's metric as the dashboard shows it, and the alarm's states."""
    now = datetime.now(UTC)
    since = now - timedelta(seconds=_PERIODS * context.settings.monitoring.period_seconds)
    found: dict[str, dict[str, Any]] = {}
    for name, deployed in deployed_alarms(context).items():
        if deployed.alarm is not None:
            context.say(f"reading {deployed.alarm.metric} …")
            found[deployed.alarm.metric] = _one(context, deployed.alarm, name, since)
    points = sum(len(each["points"]) for each in found.values())
    changes = sum(len(each["states"]) for each in found.values())
    return Outcome(
        summary=f"{points} datapoints of {len(found)} metrics since {since:%H:%M} UTC, "
        f"{changes} changes of state.",
        measures={MEASURE: found, f"{MEASURE}.until": now.timestamp()},
    )


series.probe = True  # type: ignore[attr-defined] # reads only


def _one(context: Context, alarm: Alarm, name: str, since: datetime) -> dict[str, Any]:
    found = samples(context, alarm.metric, since, statistic=alarm.statistic)
    title = BY_NAME[alarm.metric].title if alarm.metric in BY_NAME else alarm.metric
    return {
        "title": title,
        "points": [[sample.at, sample.value] for sample in found],
        "threshold": alarm.threshold,
        "comparison": alarm.comparison,
        "states": [[at, state] for at, state in states(context, name, since)],
    }


def states(context: Context, name: str, since: datetime) -> list[tuple[float, str]]:
    """The alarm's changes of state since then, the oldest first; from its history."""
    return [
        (event.at, event.data["newState"]["stateValue"])
        for event in context.ask(cloudwatch.history(name, "StateUpdate", since))
    ]
