"""Burst capacity: the newest value judges; none is not known; no such metric is no object (M8)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chronos_ops.facts.burst import Datapoint, burst_capacity
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Status
from chronos_ops.monitoring.burst import judged

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FACT = burst_capacity("db", NOW - timedelta(hours=3), NOW)


def answer(*percents: float) -> dict[str, Any]:
    """As Lightsail answers: in no order."""
    data = [
        {"average": percent, "timestamp": NOW - timedelta(minutes=5 * back), "unit": "Percent"}
        for back, percent in enumerate(percents)
    ]
    return {"metricName": "BurstCapacityPercentage", "metricData": data}


@pytest.mark.parametrize(
    ("answered", "status", "observed"),
    [
        (answer(97.6, 10, 10), Status.PASS, "98 % at 12:00 UTC"),
        (answer(20.0), Status.PASS, "20 % at 12:00 UTC"),
        (answer(19.4, 100, 100), Status.FAIL, "19 % at 12:00 UTC"),
        (answer(), Status.UNKNOWN, "no datapoint in 3 hours"),
        (None, Status.NOT_APPLICABLE, "this Lightsail gives no such metric"),
    ],
)
def test_the_newest_value_judges(answered: Any, status: Status, observed: str) -> None:
    finding = judged(FACT.parse(answered), 20)
    assert (finding.status, finding.observed) == (status, observed)
    assert finding.id == "monitoring.burst"


def test_the_oldest_comes_first() -> None:
    assert FACT.parse(answer(3, 2, 1)) == [
        Datapoint(NOW - timedelta(minutes=5 * back), percent)
        for back, percent in ((2, 1), (1, 2), (0, 3))
    ]


def test_another_answer_is_not_read() -> None:
    with pytest.raises(UnreadableAnswer):
        FACT.parse({"metricData": [{"timestamp": NOW}]})
