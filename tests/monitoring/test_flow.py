"""Metrics flow: as AWS pages them, and as late as AWS lists them (M2)."""

from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.stub import ANY, Stubber

from chronos_ops.execution.context import Context
from chronos_ops.facts.cloudwatch import metric_key
from chronos_ops.monitoring import flow
from chronos_ops.plans import alarms
from tests.monitoring.standing import settings

TARGET = settings({"monitoring.metrics": ["heartbeat", "disk_used_percent"]})
KEYS = {metric_key(name, alarms.dimensions(TARGET)) for name in alarms.metrics(TARGET)}
AT = 1_800_000_000 // 300 * 300 + 90.0  # in the midst of a period
BEGAN = datetime.fromtimestamp(AT - 90, UTC)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(at=AT)

    def sleep(seconds: float) -> None:
        now.at += seconds

    ticking = SimpleNamespace(time=lambda: now.at, monotonic=lambda: now.at, sleep=sleep)
    monkeypatch.setattr(flow, "time", ticking)
    return now


def context(listed: list[set[Any]], asked: list[Any]) -> Context:
    """CloudWatch has a datapoint at the period's begin; ListMetrics answers one after the other."""

    def ask(question: Any) -> dict[str, Any]:
        asked.append(question.arguments)
        seen = [BEGAN] if question.arguments["StartTime"] <= BEGAN else []
        return {"MetricDataResults": [{"Timestamps": seen, "Values": [1.0 for _ in seen]}]}

    return cast("Context", SimpleNamespace(
        settings=TARGET,
        say=lambda _line: None,
        journal=SimpleNamespace(interval=lambda *_: nullcontext()),
        aws=SimpleNamespace(ask=ask),
        ask=lambda _fact: listed.pop(0) if len(listed) > 1 else listed[0],
    ))  # fmt: skip


def test_a_period_that_is_not_over_counts_and_what_is_listed_late_is_waited_for(
    clock: SimpleNamespace,
) -> None:
    asked: list[Any] = []
    (finding,) = flow.metrics_flow(context([set(), set(), KEYS], asked)).findings
    assert finding.good
    assert {each["StartTime"] for each in asked} == {BEGAN}
    assert clock.at == AT + 10


def test_what_is_never_listed_is_missing(clock: SimpleNamespace) -> None:
    (finding,) = flow.metrics_flow(context([set()], [])).findings
    assert not finding.good
    assert finding.observed == "missing: disk_used_percent, heartbeat"
    assert clock.at >= AT + 15 * 60


def test_every_page_is_read() -> None:
    """The first page may be empty and PartialData; NextToken leads on."""
    client = boto3.client(
        "cloudwatch", region_name="ca-central-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    said = dict.fromkeys(("MetricDataQueries", "StartTime", "EndTime", "ScanBy"), ANY)
    base = {"Id": "m", "StatusCode": "PartialData"}
    with Stubber(client) as stub:
        for number, token in enumerate(("one", "two", None)):
            result = base | {"Timestamps": [BEGAN] * number, "Values": [1.0] * number}
            answer: dict[str, Any] = {"MetricDataResults": [result]}
            stub.add_response(
                "get_metric_data",
                answer | ({"NextToken": token} if token else {}),
                said | ({"NextToken": ANY} if number else {}),
            )

        def ask(question: Any) -> Any:
            pages = client.get_paginator(question.operation).paginate(**question.arguments)
            return pages.build_full_result()

        paged = SimpleNamespace(settings=TARGET, aws=SimpleNamespace(ask=ask))
        assert len(flow.samples(cast("Context", paged), "heartbeat", BEGAN)) == 3
