"""Runbook parameters: strict, never converted."""

from typing import Any, cast

import pytest

from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters import MODELS, parse_parameters


@pytest.mark.parametrize("runbook", MODELS)
def test_every_runbook_has_defaults_that_change_nothing_unasked(runbook: str) -> None:
    parameters = parse_parameters(runbook, {})
    assert parameters.approve == ""
    assert parameters.plan is False


@pytest.mark.parametrize(
    ("runbook", "values", "said"),
    [
        ("pgbackrest_backup_restore", {"allow_restart": "true"}, "allow_restart"),
        ("pgbackrest_backup_restore", {"alow_restart": True}, "did you mean 'allow_restart'?"),
        ("disaster_recovery", {"commits_per_second": -1.0}, "commits_per_second"),
        ("disaster_recovery", {"repeat": 0}, "repeat"),
        ("disaster_recovery", {"forecast_megabytes": "64,1.5"}, "'1.5' is no size"),
        ("disaster_recovery", {"forecast_megabytes": "0"}, "'0' is no size"),
        ("disaster_recovery", {"sample_megabytes": 1.5}, "sample_megabytes"),
        ("disaster_recovery", {"scenario": 3}, "scenario"),
        ("disaster_recovery", {"plan": "yes"}, "plan"),
        ("disaster_recovery", {"probe_failures": True}, "probe_failures"),
    ],
)
def test_a_wrong_parameter_is_named(runbook: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"not valid: the parameters of {runbook}") as caught:
        parse_parameters(runbook, values)
    assert said in str(caught.value)


def test_sizes_are_restored_from_the_smallest_on_and_twice_is_a_repeat() -> None:
    given = {"forecast_megabytes": "1024, 64,,64"}
    assert cast(Any, parse_parameters("disaster_recovery", given)).forecast_sizes == [64, 64, 1024]


def test_a_writer_at_full_speed_gets_time_too() -> None:
    patience = [
        cast(Any, parse_parameters("disaster_recovery", {"commits_per_second": rate})).patience(5)
        for rate in (0.0, 0.1)
    ]
    assert patience == [60, 210]


def test_a_recovery_for_real_is_not_repeated() -> None:
    for more in ({"repeat": 2}, {"forecast_megabytes": "64"}):
        with pytest.raises(UsageError, match="for drills"):
            parse_parameters("disaster_recovery", {"mode": "recover", "lost_instance": "x", **more})


def test_an_unknown_runbook_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown runbook: 'backup'") as caught:
        parse_parameters("backup", {})
    assert "pgbackrest_backup_restore" in caught.value.hint
