"""`chronos faults list` shows every fault; what is unknown is refused before a lab is booted."""

import pytest
from typer.testing import CliRunner

from chronos_ops.cli import app
from chronos_ops.faults.fault import registry
from chronos_ops.lab import control
from chronos_ops.model.errors import UsageError


def test_every_fault_is_listed_with_the_finding_that_names_it() -> None:
    said = CliRunner().invoke(app, ["faults", "list"]).output
    for fault in registry().values():
        assert fault.id in said
        assert fault.finding in said
    assert f"{len(registry())} faults" in said


def test_an_unknown_fault_is_refused_before_anything_is_booted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "up", lambda *a, **k: pytest.fail("a lab was booted"))
    ended = CliRunner().invoke(app, ["faults", "run", "--only", "no_such_fault"])
    assert isinstance(ended.exception, UsageError)
    assert "timer_disabled" in ended.exception.hint
