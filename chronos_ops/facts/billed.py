"""What is counted and billed beside storage: alarms, metrics, dashboards, keys, parameters (M6)."""

from dataclasses import dataclass
from typing import Any

from chronos_ops.model.question import AwsQuestion, Fact

_HIGH_RESOLUTION = 60  # a period below it, in seconds, has its own price
_AWS_MANAGED = "alias/aws/"


@dataclass(frozen=True)
class AlarmCount:
    """Metrics that alarms watch in this region; high resolution has a price of its own."""

    standard: int
    high_resolution: int


def _read_alarms(answer: Any) -> AlarmCount:
    standard = high = 0
    for item in answer["MetricAlarms"]:
        metrics = max(1, sum("MetricStat" in each for each in item.get("Metrics", ())))
        if item.get("Period", _HIGH_RESOLUTION) < _HIGH_RESOLUTION:
            high += metrics
        else:
            standard += metrics
    return AlarmCount(standard, high)


ALARMS: Fact[AlarmCount] = Fact(
    "billed_alarms",
    AwsQuestion("cloudwatch", "describe_alarms", {"AlarmTypes": ["MetricAlarm"]}, paginate=True),
    _read_alarms,
)
# Of this region, whoever sends them: what is free is free for the account.
METRICS: Fact[int] = Fact(
    "billed_metrics",
    AwsQuestion("cloudwatch", "list_metrics", paginate=True),
    lambda answer: sum(not m["Namespace"].startswith("AWS/") for m in answer["Metrics"]),
)
DASHBOARDS: Fact[int] = Fact(
    "billed_dashboards",
    AwsQuestion("cloudwatch", "list_dashboards", paginate=True),
    lambda answer: len(answer["DashboardEntries"]),
)
KEYS: Fact[set[str]] = Fact(
    "kms_keys",
    AwsQuestion("kms", "list_keys", paginate=True),
    lambda answer: {key["KeyId"] for key in answer["Keys"]},
)
# Amazon's own keys cost nothing and are known by their aliases.
AMAZONS_KEYS: Fact[set[str]] = Fact(
    "kms_amazons_keys",
    AwsQuestion("kms", "list_aliases", paginate=True),
    lambda answer: {
        alias["TargetKeyId"]
        for alias in answer["Aliases"]
        if alias["AliasName"].startswith(_AWS_MANAGED) and "TargetKeyId" in alias
    },
)
# Standard parameters are free.
ADVANCED_PARAMETERS: Fact[int] = Fact(
    "ssm_advanced_parameters",
    AwsQuestion("ssm", "describe_parameters", paginate=True),
    lambda answer: sum(p.get("Tier") == "Advanced" for p in answer["Parameters"]),
)
