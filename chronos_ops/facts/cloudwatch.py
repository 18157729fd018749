"""CloudWatch: alarms as they are deployed, metrics that exist, dashboards."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_ops.model.alarm import Alarm
from chronos_ops.model.errors import UsageError
from chronos_ops.model.question import AwsQuestion, Fact


@dataclass(frozen=True)
class Deployed:
    """A metric alarm in the account. `alarm` is None where it is of a kind that we do not judge."""

    name: str
    arn: str
    alarm: Alarm | None
    description: str
    state: str
    reason: str
    enabled: bool
    actions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by state


def alarms(prefix: str) -> Fact[dict[str, Deployed]]:
    """Metric alarms whose name begins so, by name."""
    question = AwsQuestion(
        "cloudwatch",
        "describe_alarms",
        {"AlarmNamePrefix": prefix, "AlarmTypes": ["MetricAlarm"]},
        paginate=True,
    )
    return Fact(
        "cloudwatch_alarms",
        question,
        lambda answer: {item["AlarmName"]: _deployed(item) for item in answer["MetricAlarms"]},
    )


def _deployed(item: Mapping[str, Any]) -> Deployed:
    return Deployed(
        name=item["AlarmName"],
        arn=item["AlarmArn"],
        alarm=_alarm(item),
        description=item.get("AlarmDescription", ""),
        state=item["StateValue"],
        reason=item.get("StateReason", ""),
        enabled=bool(item.get("ActionsEnabled", True)),
        actions={
            "ALARM": tuple(item.get("AlarmActions", ())),
            "OK": tuple(item.get("OKActions", ())),
            "INSUFFICIENT_DATA": tuple(item.get("InsufficientDataActions", ())),
        },
    )


def _alarm(item: Mapping[str, Any]) -> Alarm | None:
    if item.get("Unit"):  # it sees only what was published with that unit: ours name none
        return None
    try:
        return Alarm(
            name=item["AlarmName"],
            namespace=item["Namespace"],
            metric=item["MetricName"],
            dimensions={d["Name"]: d["Value"] for d in item.get("Dimensions", ())},
            statistic=item["Statistic"],
            period_seconds=item["Period"],
            evaluation_periods=item["EvaluationPeriods"],
            datapoints_to_alarm=item.get("DatapointsToAlarm") or item["EvaluationPeriods"],
            threshold=item["Threshold"],
            comparison=item["ComparisonOperator"],
            treat_missing_data=item.get("TreatMissingData") or "missing",
        )
    except (KeyError, UsageError):  # metric math, percentiles, anomaly bands
        return None


@dataclass(frozen=True)
class Event:
    """One line of an alarm's history: epoch seconds, its summary, and its data."""

    at: float
    summary: str
    data: Mapping[str, Any]


def history(name: str, kind: str, since: datetime) -> Fact[tuple[Event, ...]]:
    """What CloudWatch wrote of an alarm, the oldest first. `kind`: StateUpdate, Action, ..."""
    arguments = {
        "AlarmName": name,
        "HistoryItemType": kind,
        "StartDate": since,
        "EndDate": datetime.now(UTC) + timedelta(minutes=1),
        "ScanBy": "TimestampAscending",
    }
    question = AwsQuestion("cloudwatch", "describe_alarm_history", arguments, paginate=True)
    return Fact("cloudwatch_history", question, _events)


def _events(answer: Mapping[str, Any]) -> tuple[Event, ...]:
    return tuple(
        Event(i["Timestamp"].timestamp(), i["HistorySummary"], json.loads(i["HistoryData"]))
        for i in answer["AlarmHistoryItems"]
    )


MetricKey = tuple[str, tuple[tuple[str, str], ...]]


def metrics(namespace: str) -> Fact[set[MetricKey]]:
    """Metrics that got data lately: name, and the sorted pairs of its dimensions."""
    question = AwsQuestion("cloudwatch", "list_metrics", {"Namespace": namespace}, paginate=True)
    return Fact(
        "cloudwatch_metrics",
        question,
        lambda answer: {metric_key(m["MetricName"], _pairs(m)) for m in answer["Metrics"]},
    )


def metric_key(name: str, dimensions: Mapping[str, str]) -> MetricKey:
    """A metric's identity: every dimension counts."""
    return name, tuple(sorted(dimensions.items()))


def _pairs(item: Mapping[str, Any]) -> dict[str, str]:
    return {d["Name"]: d["Value"] for d in item.get("Dimensions", ())}


def dashboard(name: str) -> Fact[dict[str, Any] | None]:
    """A dashboard's body; None: there is none."""
    absent = ("ResourceNotFound", "ResourceNotFoundException", "DashboardNotFoundError")
    question = AwsQuestion("cloudwatch", "get_dashboard", {"DashboardName": name}, absent=absent)
    return Fact(
        "cloudwatch_dashboard",
        question,
        lambda answer: None if answer is None else dict(json.loads(answer["DashboardBody"])),
    )
