"""A passed drill leaves a stamp that the publisher reads, and no other run does (M8)."""

import time
from pathlib import Path
from typing import Any, cast

import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.stamp import leave_stamp
from chronos_ops.evidence.folder import make_folder
from chronos_ops.evidence.journal import FileJournal, read_journal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.steps import read_steps
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import TransportError
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.result import SCHEMA, Result, Verdict
from chronos_ops.plans.publisher import DRILL_STAMP
from chronos_ops.runbook import Runbook
from chronos_ops.runbook_opening import Reached
from tests.plans.publishing import Publisher
from tests.runner.probing import settings

DRILL = "disaster_recovery"
RUN = "20261122T214503Z-drill-1f00ba"


class Host:
    """Takes files, or is gone."""

    def __init__(self, *, gone: bool = False) -> None:
        self.files: dict[str, tuple[str, dict[str, str]]] = {}
        self.gone = gone

    def close(self) -> None:
        """The run is over."""

    def put(self, path: str, content: str, **how: str) -> None:
        if self.gone:
            raise TransportError("the host does not answer", "10.0.0.1")
        self.files[path] = (content, how)


def context(folder: Path, host: Host) -> Context:
    nothing = cast(Any, None)
    journal = FileJournal(folder, Redactor())
    return Context(RUN, folder, nothing, nothing, journal, nothing, cast(Ssh, host))


def test_the_publisher_reads_what_a_passed_drill_left(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    host = Host()
    assert leave_stamp(DRILL, context(tmp_path / "run", host), Verdict.PASSED) == []
    text, how = host.files[DRILL_STAMP]
    assert how.get("mode", "0644") == "0644"
    epoch, run_id = text.split()
    assert abs(float(epoch) - time.time()) < 5
    assert run_id == RUN
    publisher = Publisher(tmp_path / "host", "drill_age_hours")
    publisher.stamp.write_text(text)
    publisher.tick()
    assert publisher.newest()["drill_age_hours"] < 0.01


@pytest.mark.parametrize(
    ("runbook", "verdict"),
    [
        ("pgbackrest_backup_restore", Verdict.PASSED),
        *((DRILL, verdict) for verdict in Verdict if verdict is not Verdict.PASSED),
    ],
)
def test_nothing_else_leaves_one(tmp_path: Path, runbook: str, verdict: Verdict) -> None:
    host = Host()
    assert leave_stamp(runbook, context(tmp_path, host), verdict) == []
    assert host.files == {}


def test_a_host_that_does_not_answer_is_said_and_does_not_undo_the_recovery(tmp_path: Path) -> None:
    (said,) = leave_stamp(DRILL, context(tmp_path, Host(gone=True)), Verdict.PASSED)
    assert "could **not** be told" in said
    assert "the host does not answer" in said
    (noted,) = [e for e in read_journal(tmp_path) if e.event == "note"]
    assert noted.data["left"] is False


@pytest.mark.parametrize("gone", [False, True])
def test_the_verdict_cell_of_a_passed_drill_leaves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    chosen, host = settings(), Host(gone=gone)
    parameters = parse_parameters(DRILL, {"target": "probe"})
    folder = make_folder(tmp_path, RUN, DRILL, chosen, parameters)
    reached = Reached(Aws(chosen.aws), cast(Ssh, host), "nobody")
    run = Runbook.begin(DRILL, folder, chosen, parameters, reached, Redactor())
    passed = Result(
        schema=SCHEMA,
        run_id=RUN,
        runbook=DRILL,
        target="probe",
        verdict=Verdict.PASSED,
        started_at="2026-11-22T21:45:03Z",
        ended_at="2026-11-22T22:00:00Z",
    )
    monkeypatch.setattr(run, "_result_so_far", lambda **_: passed)
    run.verdict()
    assert (DRILL_STAMP in host.files) is not gone
    outcome = read_steps(folder)["verdict"].outcome
    assert outcome is not None
    assert outcome.summary.startswith("**PASSED**")
    assert ("could **not** be told" in outcome.summary) is gone
