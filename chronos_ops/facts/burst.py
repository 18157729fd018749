"""Lightsail's burst capacity: how long an instance may still use more than its share of a CPU."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import AwsQuestion, Fact

PERIOD_SECONDS = 300  # Lightsail keeps it every five minutes
_UNKNOWN = ("UnknownOperationException", "UnknownOperation", "InvalidAction")


@dataclass(frozen=True)
class Datapoint:
    """The average of one period."""

    at: datetime
    percent: float


def burst_capacity(instance: str, since: datetime, until: datetime) -> Fact[list[Datapoint] | None]:
    """BurstCapacityPercentage, the oldest first; None: this Lightsail gives no such metric.

    Source: Lightsail API reference, GetInstanceMetricData.
    """
    arguments = {
        "instanceName": instance,
        "metricName": "BurstCapacityPercentage",
        "period": PERIOD_SECONDS,
        "startTime": since,
        "endTime": until,
        "unit": "Percent",
        "statistics": ["Average"],
    }
    question = AwsQuestion("lightsail", "get_instance_metric_data", arguments, absent=_UNKNOWN)
    return Fact(f"lightsail.burst_capacity.{instance}", question, _read)


def _read(answer: dict[str, Any] | None) -> list[Datapoint] | None:
    if answer is None:
        return None
    try:
        found = [Datapoint(each["timestamp"], each["average"]) for each in answer["metricData"]]
    except (KeyError, TypeError):
        raise UnreadableAnswer("not Lightsail's metric data", str(answer)[:200]) from None
    return sorted(found, key=lambda each: each.at)
