"""The verdict, from a folder alone: `passed` only on positive proof."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.evidence.folder import write_json
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.record import (
    CellProof,
    Ending,
    build_result,
    read_result,
    write_result,
)
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.steps import StepRecord, VerdictRecord, write_step
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.timing import Achieved, Phase

ACHIEVED = Achieved(
    first_write_seconds=23.0,
    verified_seconds=31.5,
    recovery_point_seconds=12.25,
    lost_commits=7,
)


class Run:
    """A folder as a drill that passed leaves it; tests spoil one thing each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "20261122T000000Z-drill-abc123"
        (self.folder / "steps").mkdir(parents=True)
        self.parameters: dict[str, Any] = {
            "target": "lab",
            "plan": False,
            "scenario": "instance_lost",
            "objective_recovery_time_seconds": 0.0,
            "objective_recovery_point_seconds": 0.0,
        }
        self.objectives: dict[str, float] | None = {
            "recovery_time_seconds": 3600.0,
            "recovery_point_seconds": 900.0,
        }
        self.cells = [
            CellProof("parameters", frozenset({"parameters"}), executed=True),
            CellProof("setup", frozenset({"setup"}), executed=True),
            CellProof("strike", frozenset({"step"}), executed=True),
            CellProof("recover", frozenset({"step"}), executed=True),
            CellProof("teardown", frozenset({"always"}), executed=True),
            CellProof("verdict", frozenset({"verdict"}), executed=True),
        ]
        for number, cell in enumerate(self.cells[1:]):
            self.step(cell.id, at=number)
        self.step("recover", at=3, achieved=ACHIEVED)
        self.own(Verdict.PASSED)

    def step(self, cell: str, *, at: int = 5, status: Any = "ok", **outcome: Any) -> None:
        record = StepRecord(
            schema="chronos-ops/step/1",
            cell=cell,
            kind="step",
            status=status,
            started_at=f"2026-11-22T00:00:0{at}.000000Z",
            seconds=1.0,
            outcome=Outcome(summary="x", **outcome),
        )
        write_step(self.folder, record, Redactor())

    def own(self, verdict: Verdict, run_id: str = "", reasons: tuple[str, ...] = ()) -> None:
        record = VerdictRecord(
            run_id=run_id or self.folder.name, verdict=verdict, reasons=list(reasons)
        )
        write_json(self.folder / "verdict.json", record.model_dump(mode="json"))

    def judged(self, ending: Ending = Ending()) -> Result:  # noqa: B008 - frozen
        write_json(
            self.folder / "parameters.json",
            {
                "runbook": "disaster_recovery",
                "run_id": self.folder.name,
                "started_at": "2026-11-22T00:00:00.000000Z",
                "parameters": self.parameters,
                "settings": {"objectives": self.objectives},
            },
        )
        return build_result(self.folder, self.cells, ending)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def finding(status: Status) -> Finding:
    return Finding(id="a.b", status=status, title="t", observed="o", expected="e")


def test_everything_proven_passes(run: Run) -> None:
    run.step("strike", at=2, findings=[finding(Status.PASS), finding(Status.NOT_APPLICABLE)])
    result = run.judged()
    assert (result.verdict, result.reasons) == (Verdict.PASSED, [])
    assert result.achieved.recovery_time_seconds == 31.5  # the later of first write and verified
    assert (result.scenario, result.target) == ("instance_lost", "lab")
    assert result.evaluated_by
    assert "CPU" in result.hardware
    write_result(run.folder, result, Redactor())
    assert read_result(run.folder) == result


Spoil = Callable[[Run], object]


def _remove(run: Run, name: str) -> None:
    (run.folder / name).unlink()


def _cell(run: Run, number: int, **changes: Any) -> None:
    run.cells[number] = replace(run.cells[number], **changes)


def _objective(run: Run, **values: float) -> None:
    run.parameters.update(values)


@pytest.mark.parametrize(
    ("spoil", "verdict", "reason"),
    [
        (lambda r: _remove(r, "verdict.json"), "unknown", "the notebook left no verdict record"),
        (lambda r: _remove(r, "steps/strike.json"), "unknown", "strike: the step left no record"),
        (
            lambda r: (r.folder / "steps/strike.json").write_text('{"cell":'),
            "unknown",
            "strike: the step left no record",
        ),
        (
            lambda r: _cell(r, 0, executed=False),
            "unknown",
            "parameters: the cell was not executed",
        ),
        (lambda r: r.cells.pop(), "unknown", "the runbook has no verdict cell"),
        (lambda r: r.own(Verdict.PASSED, "other"), "unknown", "verdict.json belongs to another"),
        (lambda r: r.own(Verdict.UNKNOWN), "unknown", "the notebook's own verdict"),
        (
            lambda r: r.step("strike", status="would_run"),
            "unknown",
            "strike: the step is would_run",
        ),
        (lambda r: r.step("strike", status="running"), "unknown", "strike: the step is running"),
        (
            lambda r: r.step("strike", findings=[finding(Status.FAIL)]),
            "deviated",
            "check a.b is fail: o (expected e)",
        ),
        (
            lambda r: r.step("strike", findings=[finding(Status.ERROR)]),
            "deviated",
            "check a.b is error",
        ),
        (
            lambda r: r.step("strike", findings=[finding(Status.UNKNOWN)]),
            "deviated",
            "check a.b is unknown",
        ),
        (
            lambda r: FileJournal(r.folder).resource("instance/x", ()),
            "failed",
            "not proven to be removed: instance/x",
        ),
        (
            lambda r: _cell(r, 2, error="ValueError", text="no"),
            "failed",
            "strike: ValueError: no",
        ),
        (
            lambda r: _cell(r, 2, error="TransportError", text="gone", exit_status=3),
            "unknown",
            "strike: TransportError: gone",
        ),
        (
            lambda r: _objective(r, objective_recovery_time_seconds=31.5),
            "deviated",
            "achieved recovery time 31.5 s misses the objective of 31.5 s",
        ),
        (
            lambda r: _objective(r, objective_recovery_point_seconds=12.0),
            "deviated",
            "achieved recovery point 12.2 s misses",
        ),
        (
            lambda r: r.step("recover", achieved=ACHIEVED.model_copy(update={"lost_commits": 1})),
            "passed",
            "",
        ),
        (
            lambda r: r.step("recover"),
            "unknown",
            "the achieved recovery time was not measured",
        ),
        (
            lambda r: r.step(
                "recover", achieved=ACHIEVED.model_copy(update={"verified_seconds": None})
            ),
            "unknown",
            "the achieved recovery time was not measured",
        ),
        (lambda r: setattr(r, "objectives", None), "unknown", "no objectives"),
    ],
)
def test_one_thing_spoilt_does_not_pass(run: Run, spoil: Spoil, verdict: str, reason: str) -> None:
    spoil(run)
    result = run.judged()
    assert result.verdict == verdict
    assert any(text.startswith(reason) for text in result.reasons) or not reason, result.reasons


def test_what_ended_the_run_outranks_what_broke_in_it(run: Run) -> None:
    _cell(run, 2, error="KeyboardInterrupt")
    run.own(Verdict.FAILED, reasons=("strike: KeyboardInterrupt",))
    result = run.judged(Ending(aborted="SIGTERM"))
    assert result.verdict is Verdict.ABORTED
    assert result.reasons == ["the run was ended from outside: SIGTERM"]
    assert result.verdict.exit_status == 3


def test_an_aborted_run_still_names_what_it_left(run: Run) -> None:
    FileJournal(run.folder).resource("instance/x", ())
    result = run.judged(Ending(aborted="SIGTERM"))
    assert result.reasons[1] == "not proven to be removed: instance/x"


def test_a_figure_without_meaning_is_excused_by_name(run: Run) -> None:
    run.step(
        "recover",
        achieved=ACHIEVED.model_copy(update={"recovery_point_seconds": None}),
        measures={"not_measured": {"recovery_point_seconds": "no fault in this scenario"}},
    )
    assert run.judged().verdict is Verdict.PASSED


def test_a_dry_run_is_planned_unless_it_broke(run: Run) -> None:
    run.parameters["plan"] = True
    run.step("strike", status="would_run")
    run.step("recover", status="would_run")
    assert run.judged().verdict is Verdict.PLANNED
    _cell(run, 2, error="ValueError", text="no")
    assert run.judged().verdict is Verdict.FAILED


def test_a_dry_run_with_a_refusal_does_not_end_planned(run: Run) -> None:
    """A check that fails because nothing was applied yet is no refusal."""

    def found(identifier: str) -> Finding:
        return judge(identifier, "t", passed=False, observed="another stanza", expected="none")

    run.parameters["plan"] = True
    run.step("strike", status="would_run", findings=[found("backup.archive.command")])
    assert run.judged().verdict is Verdict.PLANNED
    run.step("recover", status="would_run", findings=[found("stage.s3.would-be-refused")])
    result = run.judged()
    assert (result.verdict, result.verdict.exit_status) == (Verdict.FAILED, 1)
    assert result.reasons == ["would be refused: t: another stanza"]


def test_phases_come_in_the_order_of_their_steps(run: Run) -> None:
    def phase(name: str) -> list[Phase]:
        return [Phase(name=name, started_at="2026-11-22T00:00:00.000000Z", seconds=1)]

    run.step("recover", at=8, achieved=ACHIEVED, phases=phase("second"))
    run.step("strike", at=2, phases=phase("first"), measures={"a": 1})
    result = run.judged()
    assert [p.name for p in result.phases] == ["first", "second"]
    assert result.measures["a"] == 1


def test_overhead_is_the_wall_without_what_was_done_elsewhere(run: Run) -> None:
    journal = FileJournal(run.folder)
    with (
        journal.interval("run", "x"),
        journal.interval("remote", "a"),
        journal.interval("wait", "b"),
    ):
        pass
    measured = run.judged().measures["overhead"]
    assert measured["own_seconds"] <= measured["wall_seconds"]
    assert measured["wall_seconds"] == pytest.approx(
        measured["own_seconds"] + measured["remote_or_wait_seconds"], abs=0.002
    )
