"""Alarms as declared: one for each metric that the host sends; their text is their manual (M7)."""

from dataclasses import dataclass
from typing import Any

from chronos_ops.facts import cloudwatch
from chronos_ops.facts.cloudwatch import Deployed
from chronos_ops.model.alarm import Alarm
from chronos_ops.model.errors import UnfitTarget
from chronos_ops.model.metrics import BY_NAME, DIMENSION
from chronos_ops.model.plan import CallAws, Change, Deed, Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.alarm_rules import BY_METRIC
from chronos_ops.plans.documents import shown
from chronos_ops.plans.topic import topic_arn


@dataclass(frozen=True)
class Declared:
    """An alarm as the parameters want it."""

    alarm: Alarm
    description: str


def prefix(settings: Settings) -> str:
    """Our alarms of this host, and no other's."""
    return f"chronos/{settings.host.instance}/"


def dimensions(settings: Settings) -> dict[str, str]:
    return {DIMENSION: settings.host.instance}


def metrics(settings: Settings) -> tuple[str, ...]:
    """What the host sends; a certificate that is not declared has no days left."""
    declared = settings.hardening.certificate is not None
    return tuple(m for m in settings.monitoring.metrics if declared or m != "certificate_days_left")


def declared(settings: Settings) -> dict[str, Declared]:
    """Every alarm by name. Missing data is breaching in all of them (M1)."""
    found = {}
    for metric in metrics(settings):
        rule = BY_METRIC[metric]
        threshold = settings.monitoring.thresholds.get(metric) or rule.default(settings)
        alarm = Alarm(
            name=f"{prefix(settings)}{metric}",
            namespace=settings.monitoring.namespace,
            metric=metric,
            dimensions=dimensions(settings),
            statistic=rule.statistic,
            period_seconds=settings.monitoring.period_seconds,
            evaluation_periods=threshold.periods,
            datapoints_to_alarm=threshold.datapoints or threshold.periods,
            threshold=threshold.value,
            comparison=rule.comparison,
            treat_missing_data="breaching",
        )
        found[alarm.name] = Declared(alarm, description(alarm, rule.why, rule.mend))
    return found


def description(alarm: Alarm, why: str, mend: str) -> str:
    """What the e-mail says: at most 1024 characters (PutMetricAlarm)."""
    sign = ">" if alarm.comparison.startswith("Greater") else "<"
    minutes = alarm.period_seconds * alarm.evaluation_periods / 60
    return (
        f"{BY_NAME[alarm.metric].title}: {alarm.statistic} {sign} {alarm.threshold:g} in "
        f"{alarm.datapoints_to_alarm} of {alarm.evaluation_periods} periods ({minutes:g} min); "
        f"missing data is breaching. Why: {why}. What to do: {mend}."
    )[:1024]


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What is deployed, and which metrics flow."""
    return {
        "deployed": cloudwatch.alarms(prefix(settings)),
        "metrics": cloudwatch.metrics(settings.monitoring.namespace),
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Raises UnfitTarget while a metric does not flow: its alarm would watch nothing."""
    wanted, deployed = declared(settings), values["deployed"]
    silent = [
        d.alarm.metric
        for d in wanted.values()
        if cloudwatch.metric_key(d.alarm.metric, d.alarm.dimensions) not in values["metrics"]
    ]
    if silent:
        raise UnfitTarget(
            "metrics do not flow yet",
            f"{', '.join(silent)} with {dimensions(settings)} in {settings.monitoring.namespace}",
            hint="metrics come first: see the stage `publisher` and the step `metrics-flow`",
        )
    changes = [_change(settings, d, deployed.get(name)) for name, d in wanted.items()]
    changes += [_removal(old) for name, old in deployed.items() if name not in wanted]
    done = tuple(change for change in changes if change is not None)
    reason = "" if done else f"{len(wanted)} alarms are deployed as declared"
    return Plan(name="alarms", changes=done, noop_reason=reason)


def _change(settings: Settings, wanted: Declared, old: Deployed | None) -> Change | None:
    actions = (topic_arn(settings),)
    told = {"ALARM": actions, "OK": actions, "INSUFFICIENT_DATA": ()}
    good = old is not None and (
        old.alarm == wanted.alarm
        and old.description == wanted.description
        and old.enabled
        and dict(old.actions) == told
    )
    if good:
        return None
    name = wanted.alarm.name
    arguments = arguments_of(wanted.alarm, wanted.description, told)
    undo: Deed = CallAws(
        service="cloudwatch", operation="DeleteAlarms", arguments={"AlarmNames": [name]}
    )
    if old is not None and old.alarm is not None:
        undo = _put(arguments_of(old.alarm, old.description, dict(old.actions), old.enabled))
    return Change(
        id=f"alarm.{wanted.alarm.metric}",
        title=f"{'change' if old else 'make'} the alarm {name}",
        why=BY_METRIC[wanted.alarm.metric].why,
        deeds=(_put(arguments),),
        undo=(undo,),
        before=_text(old),
        after=shown(arguments),
        creates="" if old else f"cloudwatch:alarm/{name}",
    )


def _text(old: Deployed | None) -> str:
    if old is None:
        return ""
    if old.alarm is None:
        return f"{old.name}: not a plain metric alarm\n"
    return shown(arguments_of(old.alarm, old.description, dict(old.actions), old.enabled))


def _put(arguments: dict[str, Any]) -> CallAws:
    return CallAws(service="cloudwatch", operation="PutMetricAlarm", arguments=arguments)


def arguments_of(
    alarm: Alarm, description: str, told: dict[str, tuple[str, ...]], enabled: bool = True
) -> dict[str, Any]:
    """PutMetricAlarm's arguments."""
    return {
        "AlarmName": alarm.name,
        "AlarmDescription": description,
        "ActionsEnabled": enabled,
        "AlarmActions": list(told["ALARM"]),
        "OKActions": list(told["OK"]),
        "InsufficientDataActions": list(told["INSUFFICIENT_DATA"]),
        "MetricName": alarm.metric,
        "Namespace": alarm.namespace,
        "Statistic": alarm.statistic,
        "Dimensions": [{"Name": n, "Value": v} for n, v in sorted(alarm.dimensions.items())],
        "Period": alarm.period_seconds,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison,
        "TreatMissingData": alarm.treat_missing_data,
    }


def _removal(old: Deployed) -> Change:
    undo: tuple[Deed, ...] = ()
    if old.alarm is not None:
        undo = (_put(arguments_of(old.alarm, old.description, dict(old.actions), old.enabled)),)
    return Change(
        id=f"alarm.removed.{old.name.rsplit('/', maxsplit=1)[-1]}",
        title=f"delete the alarm {old.name}",
        why="its name is ours, and the parameters do not declare it any more",
        deeds=(
            CallAws(
                service="cloudwatch",
                operation="DeleteAlarms",
                arguments={"AlarmNames": [old.name]},
            ),
        ),
        undo=undo,
        before=_text(old),
    )


ALARMS = Stage("alarms", facts, plan)
