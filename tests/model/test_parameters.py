"""Runbook parameters: strict, never converted."""

from typing import Any

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
        ("disaster_recovery", {"commits_per_second": 0}, "commits_per_second"),
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


def test_an_unknown_runbook_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown runbook: 'backup'") as caught:
        parse_parameters("backup", {})
    assert "pgbackrest_backup_restore" in caught.value.hint
