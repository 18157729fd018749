"""The audit: missing readings, exceptions with their days, counts, and the batch's own framing."""

import datetime
from typing import Any

import pytest

from chronos_ops.facts.audit import Reading, Readings, batch, read, rows, script, split
from chronos_ops.hardening.audit import (
    counts,
    finding_of,
    judge_all,
    unknown_exceptions,
)
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.errors import UnreadableAnswer, UsageError
from chronos_ops.model.finding import Status
from chronos_ops.model.hardening import AcceptedException, Hardening
from chronos_ops.model.question import ShellAnswer, ShellQuestion
from chronos_ops.model.settings import Settings
from tests.recorded_cases import example_settings


def judge(_: Settings, values: Any) -> Verdict:
    good = values["door"] == "shut"
    return Verdict(Status.PASS if good else Status.FAIL, values["door"], "shut")


CONTROL = Control(
    "house.door", "house", "The door is shut", "manual, 1", ("door",), judge, "shut it"
)
OPEN = Readings({"door": "open"}, {})


def settings(*exceptions: AcceptedException) -> Settings:
    declared = example_settings()
    return declared.model_copy(update={"hardening": Hardening(exceptions=exceptions)})


def exception(expires: str, control: str = "house.door") -> AcceptedException:
    return AcceptedException(
        control=control,
        accepted=datetime.date(2025, 1, 1),
        expires=datetime.date.fromisoformat(expires),
        reason="the lock is on its way",
        by="ops@example.org",
    )


def test_a_failure_that_is_accepted_says_by_whom_until_when_and_why() -> None:
    (item,) = judge_all(settings(exception("2999-01-01")), OPEN, [CONTROL])
    finding = finding_of(item)
    assert item.status == "accepted"
    assert finding.good
    assert finding.title == "The door is shut (accepted exception)"
    for part in ("2999-01-01", "2025-01-01", "ops@example.org", "the lock is on its way", "open"):
        assert part in finding.observed
    assert counts([item]) == {"house": {"accepted": 1}}


def test_an_exception_that_has_ended_fails() -> None:
    (item,) = judge_all(settings(exception("2025-06-01")), OPEN, [CONTROL])
    finding = finding_of(item)
    assert finding.status is Status.FAIL
    assert "ended on 2025-06-01" in finding.observed
    assert finding.hint == "shut it (manual, 1)"


def test_an_exception_that_has_not_begun_fails() -> None:
    late = exception("2999-01-01").model_copy(update={"accepted": datetime.date(2998, 1, 1)})
    (item,) = judge_all(settings(late), OPEN, [CONTROL])
    assert finding_of(item).status is Status.FAIL
    assert "begins on 2998-01-01" in finding_of(item).observed


def test_an_exception_accepts_no_error_and_changes_no_pass() -> None:
    accepted = settings(exception("2999-01-01"))
    gone = Readings({}, {"door": "exit code 1: gone"})
    assert finding_of(judge_all(accepted, gone, [CONTROL])[0]).status is Status.ERROR
    shut = judge_all(accepted, Readings({"door": "shut"}, {}), [CONTROL])[0]
    assert shut.status == "pass"
    assert shut.exception is None


def test_an_exception_for_no_control_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"house\.dor") as refused:
        unknown_exceptions(settings(exception("2999-01-01", "house.dor")), [CONTROL])
    assert "house.door" in str(refused.value)


def test_a_judge_that_breaks_is_an_error() -> None:
    broken = Readings({"door": None}, {})

    def judge_badly(_: Settings, values: Any) -> Verdict:
        raise KeyError(values["door"])

    control = Control("house.x", "house", "t", "r", ("door",), judge_badly, "m")
    assert judge_all(settings(), broken, [control])[0].verdict.status is Status.ERROR


# -- the batch

LINES = Reading("lines", "ls", lambda text: [row[0] for row in rows(text, 1)])


def answer(text: str) -> ShellAnswer:
    return ShellAnswer(0, text)


def test_each_reading_succeeds_or_is_missing_by_itself() -> None:
    number = Reading("number", "echo", int)
    slow = Reading("slow", "sleep", str)
    told = answer("= lines 0\n| a\n| b\n= number 0\n| x\n= slow 124\n= end 0\n")
    found = read((LINES, number, slow, Reading("none", "x", str)), told)
    assert found.values == {"lines": ["a", "b"]}
    assert set(found.missing) == {"number", "slow", "none"}
    assert "timed out" in found.missing["slow"]


def test_what_is_read_cannot_pass_for_a_heading() -> None:
    """A file may be named anything."""
    told = "= lines 0\n| = sshd 0\n| | permitrootlogin no\n= end 0\n"
    assert set(split(told)) == {"lines"}


@pytest.mark.parametrize("text", ["", "nonsense\n", "= lines 0\n| a\n", "= lines x\n= end 0\n"])
def test_an_answer_that_is_cut_or_strange_is_not_known(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read((LINES,), answer(text))


def test_the_batch_is_one_question_that_leaves_nothing() -> None:
    question = batch("x", (LINES,)).question
    assert isinstance(question, ShellQuestion)
    assert question.sudo
    text = script((LINES,))
    assert "trap 'rm -rf \"$d\"' EXIT" in text
    assert "timeout" in text
