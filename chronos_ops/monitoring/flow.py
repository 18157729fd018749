"""Metrics flow before their alarms are made, each with the dimensions that its alarm names (M2)."""

import time
from datetime import UTC, datetime, timedelta

from chronos_ops.execution.context import Context
from chronos_ops.facts import cloudwatch
from chronos_ops.facts.cloudwatch import metric_key
from chronos_ops.model.alarm import Sample, Statistic
from chronos_ops.model.finding import judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.question import AwsQuestion
from chronos_ops.plans.alarms import dimensions, metrics

_POLL_SECONDS = 1.0
_TICKS = 4  # of the publisher, until every metric must have come
_LISTED_SECONDS = 20 * 60  # ListMetrics shows a new metric after up to 15 minutes (its reference)
_LISTED_POLL_SECONDS = 5.0


def metrics_flow(context: Context) -> Outcome:
    """Wait until CloudWatch holds a value of every metric that the host sends."""
    settings = context.settings
    names = metrics(settings)
    deadline = time.monotonic() + _TICKS * settings.monitoring.publish_seconds + 60
    # A datapoint bears the time at which its period begins, also while that lasts.
    period = settings.monitoring.period_seconds
    since = datetime.fromtimestamp(
        (time.time() - settings.monitoring.publish_seconds) // period * period, UTC
    )
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
    if not missing:
        missing = _unlisted(context, names)
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


def _unlisted(context: Context, names: tuple[str, ...]) -> list[str]:
    """What ListMetrics does not show by the deadline: alarms are made of what it shows."""
    wanted = {metric_key(name, dimensions(context.settings)): name for name in names}
    fact = cloudwatch.metrics(context.settings.monitoring.namespace)
    deadline = time.monotonic() + _LISTED_SECONDS
    with context.journal.interval("wait", "ListMetrics shows them"):
        while True:
            listed = context.ask(fact)
            absent = sorted(name for key, name in wanted.items() if key not in listed)
            if not absent or time.monotonic() >= deadline:
                return absent
            context.say(f"CloudWatch does not list {len(absent)} new metrics yet …")
            time.sleep(_LISTED_POLL_SECONDS)


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
    arguments = {
        "MetricDataQueries": [query],
        "StartTime": since,
        "EndTime": until or datetime.now(UTC) + timedelta(seconds=1),
        "ScanBy": "TimestampAscending",
    }
    # Each page has a result of its own, and the first may be empty (PartialData).
    question = AwsQuestion("cloudwatch", "get_metric_data", arguments, paginate=True)
    return [
        Sample(at.timestamp(), float(value), mine)
        for result in context.aws.ask(question)["MetricDataResults"]
        for at, value in zip(result["Timestamps"], result["Values"], strict=True)
    ]
