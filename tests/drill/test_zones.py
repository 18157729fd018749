"""A wall-clock time in other zones, and what a drill does with a moment out of reach."""

from datetime import datetime

import pytest

from chronos_ops.drill.zones import reading
from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters import parse_parameters

WALL = datetime.fromisoformat("2026-11-22 16:00")


def test_another_zone_means_another_moment() -> None:
    told = reading(WALL, "host", "America/Toronto")
    assert told == "read in the host's zone (America/Toronto) it is 2026-11-22T21:00:00+00:00"
    assert reading(WALL, "database", "Etc/UTC") == ""
    assert reading(WALL, "database", "GMT+7") == ""  # PostgreSQL's own, no name that is known here


@pytest.mark.parametrize(
    "target",
    [
        "time:2999-01-01T00:00:00Z",
        "time:2025-10-26 02:30 Europe/Berlin",
        "time:2026-03-29 02:30 Europe/Berlin",
    ],
)
def test_what_is_understood_and_out_of_reach_is_left_to_the_run(target: str) -> None:
    """It ends with a record and a finding, not as wrong usage without a trace."""
    parse_parameters("disaster_recovery", {"target": "t", "recovery_target": target})


def test_what_is_not_understood_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="needs its time zone"):
        parse_parameters(
            "disaster_recovery", {"target": "t", "recovery_target": "time:2026-11-22 16:00"}
        )
