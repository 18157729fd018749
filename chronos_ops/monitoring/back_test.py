"""Would it have fired? And what keeps an alarm from ever firing (failures.md 21, 23)."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_ops.execution.context import Context
from chronos_ops.facts import cloudwatch
from chronos_ops.facts.cloudwatch import Deployed, MetricKey
from chronos_ops.model.alarm import Alarm, Change, Sample
from chronos_ops.model.alarm import back_test as tested
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.monitoring.flow import samples
from chronos_ops.plans.alarms import declared, prefix

_HOURS = 3
_SHOWN = 6  # changes of state in a cell of the table
_FIRST_LOOK_SECONDS = 120  # CloudWatch's, at an alarm that was just made


def back_test(context: Context) -> Outcome:
    """Judge the last three hours' datapoints by each declared alarm, and the deployed alarms."""
    deployed_alarms(context)
    since, now = datetime.now(UTC) - timedelta(hours=_HOURS), time.time()
    table: list[dict[str, Any]] = []
    for wanted in declared(context.settings).values():
        alarm = wanted.alarm
        context.say(f"reading {alarm.metric} …")
        found = samples(context, alarm.metric, since, statistic=alarm.statistic)
        table.append(
            {
                "alarm": alarm.metric,
                "fires": _rule(alarm),
                "datapoints": len(found),
                "would have changed": _told(would_have(alarm, found, now)),
            }
        )
    deployed = _looked_at(context)
    findings = [
        dimensions(
            deployed, context.ask(cloudwatch.metrics(context.settings.monitoring.namespace))
        ),
        state(deployed),
        missing_data(deployed),
    ]
    fired = sum("ALARM" in row["would have changed"] for row in table)
    unknown = sum("not known" in row["would have changed"] for row in table)
    more = f" {unknown} have too few datapoints yet." if unknown else ""
    return Outcome(
        summary=f"{fired} of {len(table)} alarms would have fired in the last {_HOURS} hours."
        + more,
        table=table,
        findings=findings,
    )


back_test.probe = True  # type: ignore[attr-defined] # reads only


def deployed_alarms(context: Context) -> dict[str, Deployed]:
    """Raises ChronosError where there are none: then nothing can be said of them."""
    found = context.ask(cloudwatch.alarms(prefix(context.settings)))
    if not found:
        raise ChronosError("no alarms are deployed", hint="run the stage `alarms`")
    return found


def would_have(alarm: Alarm, found: Sequence[Sample], end: float) -> list[Change] | None:
    """Changes of state over samples that are one a period, by the alarm's own statistic.

    It begins once the metric had been there for as long as the alarm looks back: what was before
    the publisher is not its silence. None: too few of them, nothing was judged.
    """
    if not found:
        return None
    one_a_period = replace(alarm, statistic="Maximum")
    start = found[0].at + alarm.period_seconds * (alarm.evaluation_periods - 1)
    if end < start + alarm.period_seconds:
        return None
    return tested(one_a_period, found, start, end)


def _rule(alarm: Alarm) -> str:
    sign = ">" if alarm.comparison.startswith("Greater") else "<"
    return (
        f"{alarm.statistic} {sign} {alarm.threshold:g}, {alarm.datapoints_to_alarm} of "
        f"{alarm.evaluation_periods} x {alarm.period_seconds} s"
    )


def _told(changes: Sequence[Change] | None) -> str:
    if changes is None:
        return "not known: too few datapoints"
    words = [f"{datetime.fromtimestamp(c.at, UTC):%H:%M:%S} {c.state}" for c in changes]
    more = [f"and {len(words) - _SHOWN} more"] if len(words) > _SHOWN else []
    return ", ".join([*words[:_SHOWN], *more]) or "stays OK"


def _looked_at(context: Context) -> dict[str, Deployed]:
    """The deployed alarms, once CloudWatch has looked at those that were just made."""
    fact = cloudwatch.alarms(prefix(context.settings))
    period = context.settings.monitoring.period_seconds
    deadline = time.monotonic() + min(_FIRST_LOOK_SECONDS, 3 * period + 15)
    while True:
        deployed = context.ask(fact)
        if not _waiting(deployed) or time.monotonic() >= deadline:
            return deployed
        context.say("waiting for CloudWatch's first look at the alarms …")
        time.sleep(1)


def _waiting(deployed: Mapping[str, Deployed]) -> list[str]:
    return [name for name, each in deployed.items() if each.state == "INSUFFICIENT_DATA"]


def dimensions(deployed: Mapping[str, Deployed], metrics: set[MetricKey]) -> Finding:
    """An alarm on a metric that does not exist watches nothing."""
    wrong = []
    for name, each in deployed.items():
        if each.alarm is None:
            wrong.append(f"{name}: no plain metric alarm")
        elif cloudwatch.metric_key(each.alarm.metric, each.alarm.dimensions) not in metrics:
            wrong.append(f"{name}: no {each.alarm.metric} with {dict(each.alarm.dimensions)}")
    return judge(
        "monitoring.dimensions",
        "The metric of each alarm exists, with exactly its dimensions",
        passed=not wrong if deployed else None,
        observed="; ".join(wrong) or f"{len(deployed)} alarms",
        expected="each in ListMetrics",
        hint="run the stages `publisher` and `alarms`",
        requirement="M2",
    )


def state(deployed: Mapping[str, Deployed]) -> Finding:
    """An alarm without data never fires, unless missing data is breaching."""
    waiting = _waiting(deployed)
    return judge(
        "monitoring.state",
        "No alarm stands in INSUFFICIENT_DATA",
        passed=not waiting if deployed else None,
        observed=", ".join(waiting) or f"{len(deployed)} alarms, none",
        expected="OK or ALARM",
        hint="its metric does not come: `journalctl -u chronos-metrics`; then the stage `alarms`",
        requirement="M1",
    )


def missing_data(deployed: Mapping[str, Deployed]) -> Finding:
    """A publisher that died must alarm by its silence."""
    wrong = [
        f"{name}: {each.alarm.treat_missing_data if each.alarm else 'not known'}"
        for name, each in deployed.items()
        if each.alarm is None or each.alarm.treat_missing_data != "breaching"
    ]
    return judge(
        "monitoring.missing-data",
        "Missing data is breaching in every alarm",
        passed=not wrong if deployed else None,
        observed=", ".join(wrong) or f"{len(deployed)} alarms: breaching",
        expected="breaching",
        hint="run the stage `alarms`",
        requirement="M1",
    )
