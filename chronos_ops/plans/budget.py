"""A budget that tells the alarms' topic before the money is gone (M6)."""

from typing import Any

from chronos_ops.facts import budgets
from chronos_ops.facts.budgets import Budget, notification
from chronos_ops.model.plan import CallAws, Change, Deed, Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.documents import shown
from chronos_ops.plans.topic import topic_arn


def _fact(percent: float) -> str:
    return f"told_{percent:g}"


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """The budget, and who is told at each declared share."""
    account, wanted = settings.aws.account_id, settings.monitoring.budget
    told = {_fact(p): budgets.told(account, wanted.name, p) for p in wanted.notify_percent}
    return {"budget": budgets.budget(account, wanted.name), **told}


def definition(settings: Settings) -> dict[str, Any]:
    """The whole account's cost, a month."""
    wanted = settings.monitoring.budget
    return {
        "BudgetName": wanted.name,
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": {"Amount": f"{wanted.limit_usd:g}", "Unit": "USD"},
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Make what is missing. Notifications of others in the same budget are left alone."""
    wanted = settings.monitoring.budget
    changes = [_budget(settings, values["budget"])]
    changes += [_told(settings, p, values[_fact(p)]) for p in wanted.notify_percent]
    done = tuple(change for change in changes if change is not None)
    shares = ", ".join(f"{percent:g} %" for percent in wanted.notify_percent)
    reason = f"{wanted.name}: {wanted.limit_usd:g} USD a month, the topic is told at {shares}"
    return Plan(name="budget", changes=done, noop_reason="" if done else reason)


def _call(settings: Settings, operation: str, **arguments: Any) -> CallAws:
    given = {"AccountId": settings.aws.account_id, **arguments}
    return CallAws(service="budgets", operation=operation, arguments=given)


def _named(settings: Settings, operation: str, **arguments: Any) -> CallAws:
    name = settings.monitoring.budget.name
    return _call(settings, operation, BudgetName=name, **arguments)


def _budget(settings: Settings, former: Budget | None) -> Change | None:
    wanted = settings.monitoring.budget
    good = former is not None and (
        former.limit_usd == wanted.limit_usd
        and (former.kind, former.unit) == ("COST", "MONTHLY")
        and not former.filtered
    )
    if good:
        return None
    document = definition(settings)
    deed = _call(settings, "CreateBudget", Budget=document)
    undo = _named(settings, "DeleteBudget")
    if former is not None:
        deed = _call(settings, "UpdateBudget", NewBudget=document)
        undo = _call(settings, "UpdateBudget", NewBudget=former.definition)
    return Change(
        id="budgets.budget",
        title=f"{'make' if former is None else 'mend'} the budget {wanted.name}: "
        f"{wanted.limit_usd:g} USD a month",
        why="what the forecast does not know, the bill does: AWS reckons it several times a day",
        deeds=(deed,),
        undo=(undo,),
        before=shown(former.definition) if former else "",
        after=shown(document),
        creates=f"budgets:budget/{wanted.name}" if former is None else "",
    )


def _told(settings: Settings, percent: float, former: set[tuple[str, str]] | None) -> Change | None:
    subscriber = {"SubscriptionType": "SNS", "Address": topic_arn(settings)}
    if former is not None and ("SNS", subscriber["Address"]) in former:
        return None
    which = {"Notification": notification(percent)}
    deed: Deed = _named(settings, "CreateNotification", **which, Subscribers=[subscriber])
    undo: Deed = _named(settings, "DeleteNotification", **which)
    if former is not None:
        deed = _named(settings, "CreateSubscriber", **which, Subscriber=subscriber)
        undo = _named(settings, "DeleteSubscriber", **which, Subscriber=subscriber)
    return Change(
        id=f"budgets.notification.{percent:g}",
        title=f"tell the topic when {percent:g} % of the month's budget are spent",
        why="a bill is read when the month is over",
        deeds=(deed,),
        undo=(undo,),
        before="\n".join(sorted(" ".join(pair) for pair in former or ())),
        after=f"SNS {subscriber['Address']}",
    )


BUDGET = Stage("budget", facts, plan)
