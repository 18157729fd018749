# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
"""Alarms evaluated as CloudWatch documents it, in place of ministack's own evaluator.

ministack's merges all dimensions, ignores DatapointsToAlarm and TreatMissingData, never reaches
INSUFFICIENT_DATA, and runs inside PutMetricData. This one looks once a period (at least once a
minute), whether data came or not. A reason that it gives says `evaluator: lab`.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch, sns

from chronos_ops.model.alarm import EXTRA_PERIODS, Alarm, State, evaluate
from chronos_ops.model.errors import UsageError

_LOG = logging.getLogger("chronos.lab.aws")
_REPLACED = ("_evaluate_alarm", "_evaluate_all_alarms", "_dispatch_alarm_actions")
_MANAGED_KEY = "alias/aws/sns"
_SERVICE = "cloudwatch.amazonaws.com"
_STORES = ("_metrics", "_alarms", "_calc_stats", "_dims_key", "_record_history", "_history_entries")
_LOOK_SECONDS = 0.5
_LONGEST_SECONDS = 60  # between two looks at one alarm
_SETTLE_SECONDS = 1.0  # a period's last datapoints may be on their way when it ends


def replace_evaluator() -> None:
    """Raises RuntimeError if ministack is not the one that this was written for."""
    missing = [name for name in (*_REPLACED, *_STORES) if not hasattr(cloudwatch, name)]
    if missing:
        raise RuntimeError(f"ministack's cloudwatch has no {', '.join(missing)}")
    cloudwatch._evaluate_alarm = _nothing
    cloudwatch._evaluate_all_alarms = _nothing
    cloudwatch._dispatch_alarm_actions = _telling(cloudwatch._dispatch_alarm_actions)


def _nothing(*_arguments: Any) -> None:
    """Alarms are evaluated by time, not by calls."""


def _telling(known: Callable[..., None]) -> Callable[..., None]:
    """An action reaches a topic that admits CloudWatch, and the history says what became of it."""

    def dispatch(alarm: dict[str, Any], old: str, new: str, reason: str) -> None:
        field = {"ALARM": "AlarmActions", "OK": "OKActions"}.get(new, "InsufficientDataActions")
        wanted = list(alarm.get(field) or ()) if alarm.get("ActionsEnabled", True) else []
        wrong = {arn: _refused(arn, alarm["AlarmArn"]) for arn in wanted}
        for arn, why in wrong.items():
            said = f"Failed to execute action {arn}. Received error: {why}" if why else ""
            _remember(alarm["AlarmName"], said or f"Successfully executed action {arn}")
        known({**alarm, field: [arn for arn in wanted if not wrong[arn]]}, old, new, reason)

    return dispatch


def _refused(topic_arn: str, alarm_arn: str) -> str:
    """Why CloudWatch may not publish to that topic; empty: it may."""
    topic = sns._topic_by_arn_any_scope(topic_arn)
    if topic is None:
        return "Topic does not exist"
    attributes = topic.get("attributes", topic)
    if str(attributes.get("KmsMasterKeyId", "")).endswith(_MANAGED_KEY):
        return (
            "CloudWatch Alarms does not have authorization to access the SNS topic encryption key"
        )
    account = alarm_arn.split(":")[4]
    policy = json.loads(attributes.get("Policy") or "{}")
    if not any(_admits(statement, account) for statement in policy.get("Statement", ())):
        return "CloudWatch Alarms is not authorized to perform: SNS:Publish on the resource"
    return ""


def _admits(statement: dict[str, Any], account: str) -> bool:
    """The service itself, or (SNS's default policy) everybody of the owner's account."""
    actions = statement.get("Action", ())
    named = {a.lower() for a in ([actions] if isinstance(actions, str) else actions)}
    if statement.get("Effect") != "Allow" or not named & {"sns:publish", "sns:*", "*"}:
        return False
    principal = statement.get("Principal", {})
    everybody = principal in ("*", {"AWS": "*"})
    if not everybody and _SERVICE not in str(principal.get("Service", "")):
        return False
    conditions = statement.get("Condition", {}).get("StringEquals", {})
    return all(value == account for value in conditions.values())


def _remember(name: str, summary: str) -> None:
    cloudwatch._history_entries().append(
        {
            "AlarmName": name,
            "AlarmType": "MetricAlarm",
            "Timestamp": cloudwatch._ts_iso(time.time()),
            "HistoryItemType": "Action",
            "HistorySummary": summary,
            "HistoryData": json.dumps({"version": "1.0", "summary": summary}),
        }
    )


async def evaluate_for_ever(account: str, region: str) -> None:
    """Look at every alarm of the lab's account when one of its periods has ended."""
    responses.set_request_account_id(account)
    responses.set_request_region(region)
    seen: dict[str, int] = {}
    while True:
        look(time.time(), seen)
        await asyncio.sleep(_LOOK_SECONDS)


def look(now: float, seen: dict[str, int]) -> None:
    """Evaluate what is due. `seen`: the number of the last look at each alarm."""
    for entry in list(cloudwatch._alarms.values()):
        number = int((now - _SETTLE_SECONDS) // min(entry["Period"], _LONGEST_SECONDS))
        if seen.get(entry["AlarmName"], -1) < number:
            seen[entry["AlarmName"]] = number
            try:
                _judge(entry, now)
            except UsageError as error:  # AWS would have refused it at PutMetricAlarm
                _LOG.warning("an alarm that cannot be evaluated: %s", error)


def _judge(entry: dict[str, Any], now: float) -> None:
    alarm = _alarm(entry)
    points = _points(alarm, now - _SETTLE_SECONDS)
    old = State(entry["StateValue"])
    new = evaluate(alarm, points, old)
    if new is old:
        return
    shown = ", ".join("missing" if point is None else f"{point:g}" for point in points)
    reason = (
        f"{alarm.datapoints_to_alarm} of {alarm.evaluation_periods} datapoints, "
        f"{alarm.comparison} {alarm.threshold:g}, missing data {alarm.treat_missing_data}; "
        f"the newest last: [{shown}] (evaluator: lab)"
    )
    entry.update(StateValue=new.value, StateReason=reason, StateUpdatedTimestamp=int(now))
    cloudwatch._record_history(alarm.name, old.value, new.value, reason)
    cloudwatch._dispatch_alarm_actions(entry, old.value, new.value, reason)
    cloudwatch._evaluate_parent_alarms(entry)


def _alarm(entry: dict[str, Any]) -> Alarm:
    periods = entry["EvaluationPeriods"]
    return Alarm(
        name=entry["AlarmName"],
        namespace=entry["Namespace"],
        metric=entry["MetricName"],
        dimensions={item["Name"]: item["Value"] for item in entry.get("Dimensions") or ()},
        statistic=entry["Statistic"],
        period_seconds=entry["Period"],
        evaluation_periods=periods,
        datapoints_to_alarm=entry.get("DatapointsToAlarm") or periods,
        threshold=entry["Threshold"],
        comparison=entry["ComparisonOperator"],
        treat_missing_data=entry.get("TreatMissingData") or "missing",
    )


def _points(alarm: Alarm, now: float) -> list[float | None]:
    """The evaluation range, aggregated by ministack's own statistics (sets, counts)."""
    key = (alarm.namespace, alarm.metric, cloudwatch._dims_key(dict(alarm.dimensions)))
    width, newest = alarm.period_seconds, int(now // alarm.period_seconds)
    periods: dict[int, list[Any]] = {}
    for stored in cloudwatch._metrics.get(key) or ():
        periods.setdefault(int(stored["Timestamp"] // width), []).append(stored)
    first = newest - alarm.evaluation_periods - EXTRA_PERIODS
    found = (cloudwatch._calc_stats(periods.get(n, [])) for n in range(first, newest))
    return [stats.get(alarm.statistic) for stats in found]
