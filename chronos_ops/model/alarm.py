"""A CloudWatch metric alarm, and what CloudWatch would say of it: pure arithmetic.

Source: Amazon CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms
treat missing data" (evaluation range, the tables of both examples, premature alarm state).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Literal, get_args

from chronos_ops.model.errors import UsageError

Statistic = Literal["Average", "Maximum", "Minimum", "Sum", "SampleCount"]
Comparison = Literal[
    "GreaterThanThreshold",
    "GreaterThanOrEqualToThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
]
Missing = Literal["missing", "ignore", "breaching", "notBreaching"]
_HOUR, _DAY, _WEEK = 3600, 86_400, 604_800
_MOST_DIMENSIONS = 30
EXTRA_PERIODS = 2  # "a higher number of data points": the guide's examples show two more


class State(StrEnum):
    """The three states of a metric alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True)
class Alarm:
    """One metric alarm. `dimensions` must equal the metric's exactly: a subset is another metric.

    A plain dataclass: the lab's emulator evaluates with it, in an environment without pydantic.
    Raises UsageError for what PutMetricAlarm refuses.
    """

    name: str
    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: Statistic
    period_seconds: int
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: Comparison
    treat_missing_data: Missing = "missing"

    def __post_init__(self) -> None:
        for value, known in (
            (self.statistic, Statistic),
            (self.comparison, Comparison),
            (self.treat_missing_data, Missing),
        ):
            if value not in get_args(known):
                hint = f"one of {', '.join(get_args(known))}"
                raise UsageError(f"alarm {self.name}: unknown word", repr(value), hint=hint)
        if wrong := self._refused():
            raise UsageError(f"alarm {self.name} is not valid", wrong)

    def _refused(self) -> str:
        period, periods = self.period_seconds, self.evaluation_periods
        if period not in (10, 20, 30) and (period < 60 or period % 60):
            return f"period {period} s: must be 10, 20, 30 or a multiple of 60"
        if not 1 <= self.datapoints_to_alarm <= periods:
            return f"{self.datapoints_to_alarm} datapoints to alarm of {periods} periods"
        if period * periods > (_WEEK if period >= _HOUR else _DAY):
            return f"{periods} periods of {period} s: longer than CloudWatch looks back"
        if len(self.dimensions) > _MOST_DIMENSIONS:
            return f"{len(self.dimensions)} dimensions: at most {_MOST_DIMENSIONS}"
        return ""

    def breaches(self, value: float) -> bool:
        match self.comparison:
            case "GreaterThanThreshold":
                return value > self.threshold
            case "GreaterThanOrEqualToThreshold":
                return value >= self.threshold
            case "LessThanThreshold":
                return value < self.threshold
            case "LessThanOrEqualToThreshold":
                return value <= self.threshold


@dataclass(frozen=True)
class Sample:
    """One published value: epoch seconds, and the dimensions that it was published with."""

    at: float
    value: float
    dimensions: Mapping[str, str] = field(default_factory=dict)


def datapoints(alarm: Alarm, samples: Sequence[Sample], now: float) -> list[float | None]:
    """The evaluation range, oldest first: one aggregated value a period, None where it is missing.

    Periods are aligned to the epoch; the one that is not over at `now` is left out.
    """
    width = alarm.period_seconds
    newest = int(now // width)
    count = alarm.evaluation_periods + EXTRA_PERIODS
    buckets: dict[int, list[float]] = {}
    for sample in samples:
        if dict(sample.dimensions) == dict(alarm.dimensions):
            buckets.setdefault(int(sample.at // width), []).append(sample.value)
    return [_aggregate(alarm.statistic, buckets.get(n)) for n in range(newest - count, newest)]


def _aggregate(statistic: Statistic, values: list[float] | None) -> float | None:
    if not values:
        return None
    match statistic:
        case "Average":
            return sum(values) / len(values)
        case "Maximum":
            return max(values)
        case "Minimum":
            return min(values)
        case "Sum":
            return sum(values)
        case "SampleCount":
            return float(len(values))


def evaluate(alarm: Alarm, points: Sequence[float | None], current: State) -> State:
    """The next state. `points` is the evaluation range, oldest first, None where data is missing.

    Raises UsageError if the range is shorter than `evaluation_periods`.
    """
    wanted = alarm.evaluation_periods
    if len(points) < wanted:
        raise UsageError("the evaluation range is too short", f"{len(points)} of {wanted}")
    real = [alarm.breaches(point) for point in points if point is not None]
    if len(real) >= wanted:  # enough of them: how missing data is treated does not matter
        return _count(alarm, sum(real[-wanted:]))
    if not real:
        return _all_missing(alarm, current)
    match alarm.treat_missing_data:
        case "breaching":
            return _count(alarm, sum(real) + wanted - len(real))
        case "notBreaching":
            return _count(alarm, sum(real))
        case "ignore" | "missing":
            return _with_gaps(alarm, points, real, current)


def _count(alarm: Alarm, breaching: int) -> State:
    return State.ALARM if breaching >= alarm.datapoints_to_alarm else State.OK


def _all_missing(alarm: Alarm, current: State) -> State:
    match alarm.treat_missing_data:
        case "breaching":
            return State.ALARM
        case "notBreaching":
            return State.OK
        case "ignore":
            return current
        case "missing":
            return State.INSUFFICIENT_DATA


def _with_gaps(
    alarm: Alarm, points: Sequence[float | None], real: Sequence[bool], current: State
) -> State:
    """Fewer real points than periods, and nothing is put in the place of the missing ones."""
    if sum(real) >= alarm.datapoints_to_alarm:
        return State.ALARM
    if not all(real):  # a point within the threshold is proof of health
        return State.OK
    if alarm.treat_missing_data == "ignore":
        return current
    # Only breaching points, too few: ALARM once the oldest is as old as datapoints_to_alarm.
    oldest = next(len(points) - n for n, point in enumerate(points) if point is not None)
    return State.ALARM if oldest >= alarm.datapoints_to_alarm else current


@dataclass(frozen=True)
class Change:
    """A transition in a back-test, at the end of a period (epoch seconds)."""

    at: float
    state: State


def back_test(
    alarm: Alarm, samples: Sequence[Sample], start: float, end: float, current: State = State.OK
) -> list[Change]:
    """Would it have fired? Every change of state, evaluated once a period from `start` to `end`."""
    width = alarm.period_seconds
    moments = [n * width for n in range(int(start // width) + 1, int(end // width) + 1)]
    states = [Change(start, current)]
    for moment in moments:
        points = datapoints(alarm, samples, moment)
        states.append(Change(moment, evaluate(alarm, points, states[-1].state)))
    return [later for earlier, later in pairwise(states) if later.state is not earlier.state]
