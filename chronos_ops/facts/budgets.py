"""AWS Budgets: the account's budget and whom its notifications tell (API reference 2016-10-20)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import AwsQuestion, Fact

_NONE = ("NotFoundException",)
_KEPT = (
    "BudgetName",
    "BudgetLimit",
    "PlannedBudgetLimits",
    "CostFilters",
    "CostTypes",
    "TimeUnit",
    "TimePeriod",
    "BudgetType",
    "FilterExpression",
    "Metrics",
)


@dataclass(frozen=True)
class Budget:
    """A budget as it is; `definition` is what UpdateBudget takes, to put it back."""

    limit_usd: float | None  # None: in another currency, or planned month by month
    kind: str  # COST, USAGE ...
    unit: str  # MONTHLY ...
    filtered: bool  # it looks at a part of the account only
    definition: dict[str, Any]
    actual_usd: float | None = None  # spent so far; None: not reckoned yet


def budget(account: str, name: str) -> Fact[Budget | None]:
    """The budget of that name; None: there is none."""
    arguments = {"AccountId": account, "BudgetName": name}
    question = AwsQuestion("budgets", "describe_budget", arguments, absent=_NONE)
    return Fact("budget", question, _read)


def notification(percent: float) -> dict[str, Any]:
    """A notification's identity, as every call wants it: so much was really spent."""
    return {
        "NotificationType": "ACTUAL",
        "ComparisonOperator": "GREATER_THAN",
        "Threshold": percent,
        "ThresholdType": "PERCENTAGE",
    }


def told(account: str, name: str, percent: float) -> Fact[set[tuple[str, str]] | None]:
    """Who is told at that share: (SNS or EMAIL, address); None: there is no such notification."""
    question = AwsQuestion(
        "budgets",
        "describe_subscribers_for_notification",
        {"AccountId": account, "BudgetName": name, "Notification": notification(percent)},
        paginate=True,
        absent=_NONE,
    )

    def read(answer: Any) -> set[tuple[str, str]] | None:
        if answer is None:
            return None
        return {(s["SubscriptionType"], s["Address"]) for s in answer["Subscribers"]}

    return Fact(f"budget_told_{percent:g}", question, read)


def _plain(value: Any) -> Any:
    """Moments as text: the undo is data that a journal keeps."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _read(answer: Any) -> Budget | None:
    if answer is None:
        return None
    try:
        found = answer["Budget"]
        limit = found.get("BudgetLimit", {})
        dollars = limit.get("Unit") == "USD"
        spent = found.get("CalculatedSpend", {}).get("ActualSpend", {}).get("Amount")
        return Budget(
            limit_usd=float(limit["Amount"]) if dollars else None,
            kind=found["BudgetType"],
            unit=found["TimeUnit"],
            filtered=bool(found.get("CostFilters") or found.get("FilterExpression")),
            definition={key: _plain(found[key]) for key in _KEPT if found.get(key)},
            actual_usd=None if spent is None else float(spent),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not an AWS budget", error) from None
