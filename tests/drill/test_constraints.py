"""What PostgreSQL said of its constraints, judged."""

import json

import pytest

from chronos_ops.drill.constraints import judge_constraints
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Status


def answer(checked: int, *violated: str) -> str:
    return json.dumps({"checked": checked, "violated": violated})


def test_one_violated_constraint_in_one_database_is_a_failure() -> None:
    held = judge_constraints({"a": answer(3), "b": answer(0)})
    assert (held.status, held.observed) == (Status.PASS, "3 constraints hold")
    broken = judge_constraints({"a": answer(3), "b": answer(1, "public.child: no such parent")})
    assert broken.status is Status.FAIL
    assert broken.observed == "b: public.child: no such parent"
    assert broken.hint


def test_nothing_to_check_is_no_pass_and_no_answer_is_an_error() -> None:
    assert judge_constraints({"a": answer(0)}).status is Status.NOT_APPLICABLE
    with pytest.raises(UnreadableAnswer):
        judge_constraints({"a": ""})
