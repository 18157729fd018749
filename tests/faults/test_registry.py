"""The registry of faults: every one whole, every one refused where nothing may be struck."""

from pathlib import Path
from typing import Any

import pytest

from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.faults.fault import DRILL, Fault, choose, registry
from chronos_ops.faults.site import Site
from chronos_ops.model.errors import ChronosError, Refused, UsageError
from chronos_ops.model.parameters import parse_parameters
from tests.recorded_cases import example_settings


def context(tmp_path: Path, *, disposable: bool) -> Context:
    settings = example_settings().model_copy(update={"disposable": disposable})
    unused: Any = None
    return Context(
        "run",
        tmp_path,
        settings,
        parse_parameters("fault_catalogue", {}),
        FileJournal(tmp_path, Redactor()),
        unused,
        unused,
    )


def test_every_fault_says_what_it_is_who_must_name_it_and_how() -> None:
    known = registry()
    assert {fault.number for fault in known.values()} >= set(range(1, 11))
    for name, fault in known.items():
        assert fault.id == name
        assert fault.title
        assert fault.what
        assert "." in fault.finding
        given = {key: value for key, value in fault.parameters.items() if key != "recovery_target"}
        assert given, f"{name} says not how its run is started"
        for method in ("inject", "undo"):
            own = getattr(type(fault), method) is not getattr(Fault, method)
            assert own, f"{name} has no {method} of its own"


@pytest.mark.parametrize("fault", registry().values(), ids=lambda fault: fault.id)
def test_a_fault_s_runbook_takes_the_parameters_that_it_is_started_with(fault: Fault) -> None:
    if type(fault).asked is Fault.asked or fault.is_looked_at_again:
        known = type(parse_parameters(fault.runbook, {})).model_fields
        assert set(fault.parameters) <= set(known)
    assert not (fault.is_looked_at_again and fault.runbook == DRILL)


def test_faults_are_chosen_by_name_and_an_unknown_one_is_refused() -> None:
    assert [f.id for f in choose(["timer_disabled", "wal_segment_missing"])] == [
        "wal_segment_missing",
        "timer_disabled",
    ]
    assert len(choose([])) == len(registry())
    with pytest.raises(UsageError, match="unknown fault"):
        choose(["no_such_fault"])


def test_nothing_is_struck_that_is_not_disposable(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="disposable targets only"):
        Site(context(tmp_path, disposable=False))
    site = Site(context(tmp_path, disposable=True))
    with pytest.raises(ChronosError, match="no run is under way"):
        site.host("primary")
