"""A condition that drives an alarm lasts until the alarm may fire, and then ends by itself (M4)."""

import re

import pytest

from chronos_ops.model.plan import RunCommand
from chronos_ops.monitoring.conditions import conditions
from chronos_ops.plans.alarms import declared
from tests.monitoring.standing import settings


@pytest.mark.parametrize(("period", "publish", "least"), [(10, 10, 600), (300, 60, 3300)])
def test_what_ends_by_itself_lasts_until_its_alarm_may_fire(
    period: int, publish: int, least: int
) -> None:
    """CPU and memory: three periods of five minutes, as the user wants them."""
    target = settings({
        "disposable": True,
        "monitoring.period_seconds": period,
        "monitoring.publish_seconds": publish,
    })  # fmt: skip
    found = {each.name: each for each in conditions(target)}
    longest = max(d.alarm.evaluation_periods for d in declared(target).values())
    for name in ("memory taken", "CPU burnt"):
        (deed,) = found[name].make
        assert isinstance(deed, RunCommand)
        text = " ".join(deed.argv)
        said = {int(n) for n in re.findall(r"(?:RuntimeMaxSec=|sleep\(|timeout )(\d+)", text)}
        assert said == {least}
        assert least > longest * period
        assert "{" not in text
    assert conditions(settings()) == ()
