"""Where no alarm is deployed nothing is said of alarms: a dry run says `known after apply`."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError
from chronos_ops.monitoring.session import back_test, series, thresholds
from tests.monitoring.standing import settings


@pytest.mark.parametrize("step", [back_test, series, thresholds])
def test_no_alarms_are_an_error_not_a_pass(step: Any) -> None:
    empty = SimpleNamespace(settings=settings(), ask=lambda _fact: {}, say=lambda _line: None)
    with pytest.raises(ChronosError, match="no alarms are deployed"):
        step(cast(Context, empty))
    assert step.probe
