"""Metrics flow before their alarms are made, each with the dimensions that its alarm names (M2)."""

import time
from datetime import UTC, datetime, timedelta

from chronos_ops.execution.context import Context
from chronos_ops.model.alarm import Sample, Statistic
from chronos_ops.model.finding import judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.plans.alarms import dimensions, metrics

_POLL_SECONDS = 1.0
_TICKS = 4  # of the publisher, until every metric must have come


def metrics_flow(context: Context) -> Outcome:
    """Wait until CloudWatch holds a value of every metric that the host sends."""
    settings = context.settings
    names = metrics(settings)
    deadline = time.monotonic() + _TICKS * settings.monitoring.publish_seconds + 60
    since = datetime.now(UTC) - timedelta(seconds=settings.monitoring.publish_seconds)
    with context.journal.interval("wait", "metrics in CloudWatch"):
        newest: dict[str, Sample] = {}
        while time.monotonic() < deadline and len(newest) < len(names):
            for name in names:
                if name not in newest and (found := samples(context, name, since)):
                    newest[name] = found[-1]
            if len(newest) < len(names):
                context.say(f"{len(newest)} of {len(names)} metrics came …")
                time.sleep(_POLL_SECONDS)
    missing = [name for name in names if name not in newest]
    finding = judge(
        "monitoring.metrics-flow",
        "Every metric comes, with the dimensions that its alarm names",
        passed=not missing,
        observed=f"missing: {', '.join(missing)}" if missing else f"{len(names)} metrics",
        expected=f"a value of each in {settings.monitoring.namespace} with {dimensions(settings)}",
        hint="journalctl -u chronos-metrics -u chronos-metrics-collect on the host",
        requirement="M2",
    )
    table = [{"metric": n, "value": round(s.value, 2)} for n, s in newest.items()]
    return Outcome(
        summary=f"{len(newest)} of {len(names)} metrics flow into {settings.monitoring.namespace}.",
        table=table,
        findings=[finding],
    )


def samples(
    context: Context,
    metric: str,
    since: datetime,
    until: datetime | None = None,
    statistic: Statistic = "Average",
) -> list[Sample]:
    """A metric's values, one a period, the oldest first; GetMetricData."""
    settings = context.settings
    mine = dimensions(settings)
    query = {
        "Id": "m",
        "MetricStat": {
            "Metric": {
                "Namespace": settings.monitoring.namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": n, "Value": v} for n, v in mine.items()],
            },
            "Period": settings.monitoring.period_seconds,
            "Stat": statistic,
        },
    }
    answer = context.aws.call(
        "cloudwatch",
        "get_metric_data",
        MetricDataQueries=[query],
        StartTime=since,
        EndTime=until or datetime.now(UTC) + timedelta(seconds=1),
        ScanBy="TimestampAscending",
    )
    result = answer["MetricDataResults"][0]
    pairs = zip(result["Timestamps"], result["Values"], strict=True)
    return [Sample(at.timestamp(), float(value), mine) for at, value in pairs]
