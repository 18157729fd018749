"""The arithmetic of alarms, against the tables of the CloudWatch User Guide."""

from typing import Any

import pytest

from chronos_ops.model.alarm import Alarm, Missing, Sample, State, back_test, datapoints, evaluate
from chronos_ops.model.errors import UsageError

OK, ALARM, NONE = State.OK, State.ALARM, State.INSUFFICIENT_DATA
TREATMENTS: tuple[Missing, ...] = ("missing", "ignore", "breaching", "notBreaching")
DIMENSIONS = {"host": "db", "path": "/"}


def alarm(treat: Missing = "missing", **changes: Any) -> Alarm:
    given: dict[str, Any] = {
        "name": "disk",
        "namespace": "Chronos",
        "metric": "disk_used_percent",
        "dimensions": DIMENSIONS,
        "statistic": "Average",
        "period_seconds": 300,
        "evaluation_periods": 3,
        "datapoints_to_alarm": 3,
        "threshold": 80,
        "comparison": "GreaterThanThreshold",
        "treat_missing_data": treat,
    }
    return Alarm(**(given | changes))


def points(text: str) -> list[float | None]:
    """`0` within, `X` breaching, `-` missing; the newest last."""
    return [{"0": 10.0, "X": 90.0, "-": None}[letter] for letter in text.replace(" ", "")]


# Rows of the guide; None: the current state is kept.
THREE_OF_THREE = [
    ("0 - X - X", (OK, OK, OK, OK)),
    ("- - - - 0", (OK, OK, OK, OK)),
    ("- - - - -", (NONE, None, ALARM, OK)),
    ("0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
    ("- - X - -", (ALARM, None, ALARM, OK)),
]
TWO_OF_THREE = [
    ("0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
    ("0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
    ("0 - X - -", (OK, OK, ALARM, OK)),
    ("- - - - 0", (OK, OK, ALARM, OK)),
    ("- - - X -", (ALARM, None, ALARM, OK)),
]


@pytest.mark.parametrize("current", list(State))
@pytest.mark.parametrize(
    ("needed", "row", "wanted"),
    [(3, *case) for case in THREE_OF_THREE] + [(2, *case) for case in TWO_OF_THREE],
)
def test_the_tables_of_the_guide(
    needed: int, row: str, wanted: tuple[State | None, ...], current: State
) -> None:
    for treat, state in zip(TREATMENTS, wanted, strict=True):
        said = evaluate(alarm(treat, datapoints_to_alarm=needed), points(row), current)
        assert said is (state or current), (treat, row)


@pytest.mark.parametrize(
    ("comparison", "at_threshold"),
    [
        ("GreaterThanThreshold", False),
        ("GreaterThanOrEqualToThreshold", True),
        ("LessThanThreshold", False),
        ("LessThanOrEqualToThreshold", True),
    ],
)
def test_at_the_threshold(comparison: str, at_threshold: bool) -> None:
    assert alarm(comparison=comparison).breaches(80) is at_threshold


def test_a_fresh_breach_among_missing_points_does_not_alarm_yet() -> None:
    assert evaluate(alarm(), points("----X"), OK) is OK
    assert evaluate(alarm(), points("---X-"), OK) is OK
    assert evaluate(alarm(), points("--X--"), OK) is ALARM


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("Average", 20.0), ("Maximum", 30.0), ("Minimum", 10.0), ("Sum", 60.0), ("SampleCount", 3.0)],
)
def test_a_period_is_aggregated(statistic: str, value: float) -> None:
    samples = [Sample(300 + i, v, DIMENSIONS) for i, v in enumerate((10.0, 20.0, 30.0))]
    assert datapoints(alarm(statistic=statistic), samples, 600)[-1] == value


def test_the_period_that_is_not_over_does_not_count() -> None:
    samples = [Sample(601, 90, DIMENSIONS)]
    assert datapoints(alarm(), samples, 899)[-1] is None
    assert datapoints(alarm(), samples, 900)[-1] == 90


def test_another_dimension_is_another_metric() -> None:
    """failures.md 23: the alarm watches what does not exist; only `breaching` says so."""
    samples = [Sample(300.0 * n, 10, {"host": "db"}) for n in range(10)]
    seen = datapoints(alarm(), samples, 3000)
    assert seen == [None] * 5
    assert evaluate(alarm("breaching"), seen, OK) is ALARM
    assert evaluate(alarm("missing"), seen, OK) is NONE


def test_the_users_own_alarms_are_back_tested() -> None:
    """M1: disk above 80 % in 2 periods of 5 minutes: not for one, yes for two, and back."""
    disk = alarm("breaching", evaluation_periods=2, datapoints_to_alarm=2)
    values = [50, 50, 90, 50, 90, 90, 90, 50, 50]
    samples = [Sample(300.0 * n + 7, v, DIMENSIONS) for n, v in enumerate(values)]
    changes = back_test(disk, samples, 0, 2700)
    assert [(change.at, change.state) for change in changes] == [(1800, ALARM), (2400, OK)]


def test_a_dead_publisher_alarms_and_an_idle_metric_may_be_quiet() -> None:
    """failures.md 21."""
    samples = [Sample(300.0 * n, 10, DIMENSIONS) for n in range(10)]
    fired = back_test(alarm("breaching"), samples, 0, 6000)
    assert [change.state for change in fired] == [ALARM]
    # The guide: one good point in the range keeps 3 of 3 OK, so two periods are added.
    assert fired[0].at == 3000 + 5 * 300
    assert back_test(alarm("notBreaching"), samples, 0, 6000) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"period_seconds": 15},
        {"period_seconds": 90},
        {"datapoints_to_alarm": 4},
        {"evaluation_periods": 289, "datapoints_to_alarm": 1},
        {"statistic": "p99.9.9"},
        {"treat_missing_data": "fine"},
        {"dimensions": {str(n): "x" for n in range(31)}},
    ],
)
def test_what_cloudwatch_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="disk"):
        alarm(**changes)


def test_too_short_a_range_is_said() -> None:
    with pytest.raises(UsageError, match="too short"):
        evaluate(alarm(), [1.0], OK)
