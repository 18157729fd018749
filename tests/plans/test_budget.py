"""The budget: made once, mended when changed, others' notifications left alone (M6)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chronos_ops.facts import budgets
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.plan import CallAws
from chronos_ops.plans import budget
from chronos_ops.plans.topic import topic_arn
from tests.monitoring.standing import settings

TARGET = settings()
TOLD = {("SNS", topic_arn(TARGET))}
ANSWER = {  # as the service answers DescribeBudget
    "Budget": {
        "BudgetName": "chronos-monthly",
        "BudgetLimit": {"Amount": "25", "Unit": "USD"},
        "CostTypes": {"IncludeTax": True},
        "TimeUnit": "MONTHLY",
        "CalculatedSpend": {"ActualSpend": {"Amount": "3.21", "Unit": "USD"}},
        "BudgetType": "COST",
        "TimePeriod": {
            "Start": datetime(2026, 11, 1, tzinfo=UTC),
            "End": datetime(2087, 6, 15, tzinfo=UTC),
        },
    }
}


def read(**changes: Any) -> Any:
    fact = budgets.budget("123456789012", "chronos-monthly")
    return fact.parse({"Budget": ANSWER["Budget"] | changes})


def operations(values: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Of each change: what is called, and what undoes it."""
    found = {}
    for change in budget.plan(TARGET, values).changes:
        (deed,), (undo,) = change.deeds, change.undo
        assert isinstance(deed, CallAws)
        assert isinstance(undo, CallAws)
        assert deed.arguments["AccountId"] == "123456789012"
        found[change.id] = (deed.operation, undo.operation)
    return found


def test_made_once_and_then_left_alone() -> None:
    assert operations({"budget": None, "told_80": None, "told_100": None}) == {
        "budgets.budget": ("CreateBudget", "DeleteBudget"),
        "budgets.notification.80": ("CreateNotification", "DeleteNotification"),
        "budgets.notification.100": ("CreateNotification", "DeleteNotification"),
    }
    again = budget.plan(TARGET, {"budget": read(), "told_80": TOLD, "told_100": TOLD})
    assert again.empty
    assert "25 USD" in again.noop_reason
    assert set(budget.facts(TARGET)) == {"budget", "told_80", "told_100"}


@pytest.mark.parametrize(
    "changes",
    [
        {"BudgetLimit": {"Amount": "100", "Unit": "USD"}},
        {"BudgetLimit": {"Amount": "25", "Unit": "EUR"}},
        {"TimeUnit": "ANNUALLY"},
        {"CostFilters": {"Service": ["Amazon S3"]}},
    ],
)
def test_another_limit_is_mended_and_can_be_put_back(changes: dict[str, Any]) -> None:
    former = read(**changes)
    plan = budget.plan(TARGET, {"budget": former, "told_80": TOLD, "told_100": TOLD})
    (change,) = plan.changes
    (undo,) = change.undo
    assert isinstance(undo, CallAws)
    assert undo.arguments["NewBudget"] == former.definition
    assert "CalculatedSpend" not in former.definition
    assert undo.operation == "UpdateBudget"
    assert former.definition["TimePeriod"]["End"] == "2087-06-15T00:00:00+00:00"
    assert change.model_dump_json()


def test_a_topic_that_is_not_told_any_more_joins_the_others() -> None:
    others = {("EMAIL", "boss@example.com")}
    assert operations({"budget": read(), "told_80": others, "told_100": TOLD}) == {
        "budgets.notification.80": ("CreateSubscriber", "DeleteSubscriber")
    }


def test_what_was_spent_is_read_and_another_answer_is_not() -> None:
    assert read().actual_usd == 3.21
    with pytest.raises(UnreadableAnswer):
        budgets.budget("1", "n").parse({"Budget": {"BudgetLimit": {"Unit": "USD"}}})
