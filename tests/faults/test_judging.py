"""Detected only by the right name, with a mend and a bad end; an alarm without a fault is false."""

import pytest

from chronos_ops.evidence.steps import StepRecord
from chronos_ops.faults.fault import choose
from chronos_ops.faults.inner import Inner
from chronos_ops.faults.judging import (
    Control,
    Tried,
    control_of,
    judge_controls,
    judge_fault,
    measures,
    not_tried,
    why_not,
)
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.result import Result, Verdict

(FAULT,) = choose(["timer_disabled"])


def finding(
    identifier: str = FAULT.finding, hint: str = "enable it", *, good: bool = False
) -> Finding:
    return judge(identifier, "a title", passed=good, observed="seen", expected="wanted", hint=hint)


def inner(*findings: Finding, exit_status: int = 1) -> Inner:
    result = Result(
        schema="chronos-ops/result/1",
        run_id="r",
        runbook="pgbackrest_backup_restore",
        target="flt-1-01",
        verdict=Verdict.DEVIATED if exit_status else Verdict.PASSED,
        started_at="",
        ended_at="",
        findings=list(findings),
    )
    step = StepRecord(
        schema="chronos-ops/step/1",
        cell="schedule-check",
        kind="step",
        status="ok",
        started_at="2026-11-23T10:00:00Z",
        seconds=2.5,
        outcome=Outcome(summary="", findings=list(findings)),
    )
    return Inner(exit_status, None, result, {"schedule-check": step})


def test_a_fault_is_detected_by_its_own_finding_with_a_mend_and_a_bad_end() -> None:
    seen = inner(finding())
    assert why_not(FAULT, seen) == ""
    assert judge_fault(FAULT, seen).status is Status.PASS
    assert seen.seconds_to(FAULT.finding, 1795428000.0) == pytest.approx(2.5)  # 10:00:00 UTC
    assert seen.seconds_to("another", 0) is None
    assert why_not(FAULT, inner(finding(), exit_status=3)) == ""


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (inner(finding(), exit_status=0), "exit status 0"),
        (inner(finding(), exit_status=2), "exit status 2"),
        (inner(finding("backup.timer.full")), "no finding"),
        (inner(finding(good=True), finding("backup.other")), "is pass"),
        (inner(finding(hint="")), "hints no mend"),
        (Inner(1, None, None, {}), "no finding"),
    ],
)
def test_all_else_is_not_detected(seen: Inner, why: str) -> None:
    assert why in why_not(FAULT, seen)
    judged = judge_fault(FAULT, seen)
    assert judged.status is Status.FAIL
    assert judged.hint


def test_the_worst_finding_of_an_id_counts() -> None:
    assert why_not(FAULT, inner(finding(good=True), finding())) == ""


def test_a_fault_that_could_not_be_tried_is_an_error_never_a_pass() -> None:
    judged = not_tried(FAULT, ChronosError("the fresh lab is not green"))
    assert judged.status is Status.ERROR
    assert judged.hint


def test_an_alarm_without_a_fault_is_false() -> None:
    green = control_of("before", inner(exit_status=0))
    assert green.alarms == ()
    assert judge_controls("before", [green]).status is Status.PASS
    red = control_of("after", inner(finding()))
    assert red.alarms
    assert judge_controls("after", [green, red]).status is Status.FAIL
    broken = control_of("after", Inner(3, None, None, {}))
    assert "exit status 3" in broken.alarms[0]
    assert judge_controls("after", []).status is Status.UNKNOWN


def test_the_score_counts_what_was_named_and_what_cried() -> None:
    rows = [
        Tried("a", 1, True, 2.0, 1, "x", "r"),
        Tried("b", 2, False, None, 0, "y", "r"),
        Tried("c", 3, True, 8.0, 3, "z", "r"),
    ]
    controls = [Control("c", "r", 0, ()), Control("d", "r", 1, ("x: y",))]
    assert measures(rows, controls)["score"] == {
        "detected": 2,
        "total": 3,
        "controls": 2,
        "false_alarms": 1,
        "seconds_median": 5.0,
        "seconds_worst": 8.0,
    }
    assert measures([], [])["score"]["seconds_worst"] is None
