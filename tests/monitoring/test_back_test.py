"""Would it have fired, and what keeps an alarm from firing: dimensions, state, missing data."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chronos_ops.facts.cloudwatch import Deployed, metric_key
from chronos_ops.model.alarm import Alarm, Sample
from chronos_ops.model.finding import Finding, Status
from chronos_ops.monitoring import back_test
from chronos_ops.plans.alarms import declared, dimensions, metrics
from tests.monitoring.standing import deployed, settings

TARGET = settings()
HOST = dimensions(TARGET)
T0 = 1_760_000_400.0  # a multiple of 300
ALARM = "chronos/project-chronos/"


def alarm(metric: str) -> Alarm:
    return declared(TARGET)[f"{ALARM}{metric}"].alarm


def values(*given: float | None) -> list[Sample]:
    """One a period of five minutes; None: it is missing."""
    return [
        Sample(T0 + 300 * number, value, HOST)
        for number, value in enumerate(given)
        if value is not None
    ]


@pytest.mark.parametrize(
    ("metric", "given", "wanted"),
    [
        ("disk_used_percent", (50, 50, 81, 50, 81, 81, 50), [(6, "ALARM"), (7, "OK")]),
        ("cpu_used_percent", (1, 1, 1, 95, 95, 1, 95, 95, 95, 2), [(9, "ALARM"), (10, "OK")]),
        ("heartbeat", (5, 5, 5, None, None, None, None, 5, 5), [(7, "ALARM"), (8, "OK")]),
        ("archive_failures", (0, 0, 0, 3, 3, 0), [(5, "ALARM"), (6, "OK")]),
        ("drill_age_hours", (9000, 9000), [(1, "ALARM")]),
        ("memory_used_percent", (), None),
        ("memory_used_percent", (99, 99), None),
        ("memory_used_percent", (99, 99, 99), [(3, "ALARM")]),
    ],
)
def test_when_it_would_have_fired(
    metric: str, given: Any, wanted: list[tuple[int, str]] | None
) -> None:
    """The user's own periods: 2 for the disk, 3 for CPU and memory; silence is breaching."""
    changes = back_test.would_have(alarm(metric), values(*given), T0 + 300 * len(given))
    if changes is None:
        assert wanted is None
    else:
        assert [((c.at - T0) / 300, c.state.value) for c in changes] == wanted


def test_what_was_before_the_publisher_is_not_its_silence() -> None:
    found = values(None, None, 5, 5, 5, 5)
    assert back_test.would_have(alarm("cpu_used_percent"), found, T0 + 300 * 6) == []


def changed(metric: str, **changes: Any) -> dict[str, Deployed]:
    have = deployed(TARGET)
    name = f"{ALARM}{metric}"
    one = have[name]
    assert one.alarm is not None
    in_alarm = {k: v for k, v in changes.items() if k in ("dimensions", "treat_missing_data")}
    rest = {k: v for k, v in changes.items() if k not in in_alarm}
    have[name] = replace(one, **({"alarm": replace(one.alarm, **in_alarm)} | rest))
    return have


def with_metrics(have: dict[str, Deployed]) -> Finding:
    flowing = {metric_key(m, HOST) for m in metrics(TARGET)}
    return back_test.dimensions(have, flowing)


Judge = Callable[[dict[str, Deployed]], Finding]


@pytest.mark.parametrize(
    ("judge", "changes"),
    [
        (with_metrics, {"dimensions": {"host": "project-chronos"}}),  # 23
        (with_metrics, {"dimensions": HOST | {"path": "/"}}),
        (with_metrics, {"alarm": None}),
        (back_test.state, {"state": "INSUFFICIENT_DATA"}),  # 21
        (back_test.missing_data, {"treat_missing_data": "missing"}),
        (back_test.missing_data, {"alarm": None}),
    ],
)
def test_an_alarm_that_cannot_fire_is_found(judge: Judge, changes: dict[str, Any]) -> None:
    assert judge(deployed(TARGET)).status is Status.PASS
    found = judge(changed("cpu_used_percent", **changes))
    assert found.status is Status.FAIL
    assert f"{ALARM}cpu_used_percent" in found.observed
    assert judge({}).status is Status.UNKNOWN
