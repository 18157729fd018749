"""What a month costs, from what is deployed, against the plan and the budget (M6)."""

from datetime import UTC, date, datetime
from typing import Any

from chronos_ops.execution.context import Context
from chronos_ops.facts import budgets, s3_usage
from chronos_ops.facts.s3_usage import Usage
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.monitoring import Budget, Prices
from chronos_ops.model.outcome import Outcome
from chronos_ops.plans import cost as plans
from chronos_ops.plans.cost import Total
from chronos_ops.plans.cost_line import Line

_OLD_DAYS = 365
MEASURE = "monitoring.cost"


def cost(context: Context) -> Outcome:
    """Count what is deployed, forecast the month and a month in a year, judge both."""
    settings = context.settings
    usage = [_read(context, bucket, sums) for bucket, sums in plans.usages(settings).items()]
    values: dict[str, Any] = {}
    for name, fact in plans.facts(settings).items():
        context.say(f"asking: {fact.name}")
        values[name] = context.ask(fact)
    lines = plans.forecast(settings, plans.deployed(values, usage))
    total = plans.total(lines)
    limit, prices = settings.monitoring.budget, settings.monitoring.prices
    found = context.ask(budgets.budget(settings.aws.account_id, limit.name))
    spent = found.actual_usd if found else None
    bill = "" if spent is None else f" AWS counts {spent:.2f} USD so far this month."
    return Outcome(
        summary=f"{total.text()}; planned {limit.planned_usd:g}, budget {limit.limit_usd:g} USD. "
        f"Prices of {prices.as_of} ({prices.region}), before taxes.{bill}",
        table=[_row(line) for line in lines],
        findings=[
            within("budget", "The forecast keeps the budget", lines, total, limit.limit_usd),
            within("plan", "The forecast keeps the plan", lines, total, limit.planned_usd),
            price_table(prices, settings.aws.region, datetime.now(UTC).date()),
        ],
        measures={MEASURE: measure(total, limit)},
    )


cost.probe = True  # type: ignore[attr-defined] # reads only


def _read(context: Context, bucket: str, sums: Usage) -> Usage:
    start: dict[str, str] = {}
    seen = 0
    while True:
        page = context.ask(s3_usage.page(bucket, start))
        sums.add(page)
        seen += len(page.versions)
        context.say(f"{bucket}: {seen} versions …")
        if not page.next:
            return sums
        start = dict(page.next)


def within(name: str, title: str, lines: list[Line], total: Total, limit: float) -> Finding:
    """Both now and in a year; unknown where a price or a size is."""
    most = total.most
    said = [total.text()]
    if most is None:
        said.append(f"not known: {', '.join(total.unknown)}")
    elif over := plans.over_by(lines, most, limit):
        said.append(over)
    return judge(
        f"monitoring.cost.{name}",
        title,
        passed=None if most is None else most <= limit,
        observed="; ".join(said),
        expected=f"at most {limit:g} USD a month",
        hint="take away what is dear, or declare monitoring.budget and monitoring.prices anew",
        requirement="M6",
    )


def price_table(prices: Prices, region: str, today: date) -> Finding:
    """Old prices make a precise forecast of nothing."""
    age = (today - prices.as_of).days
    return judge(
        "monitoring.cost.prices",
        "The price table is of this region and not older than a year",
        passed=0 <= age <= _OLD_DAYS and prices.region == region,
        observed=f"{prices.region}, {prices.as_of} ({age} days old)",
        expected=f"{region}, at most {_OLD_DAYS} days old",
        hint="look the prices up and declare monitoring.prices with its date",
        requirement="M6",
    )


def measure(total: Total, limit: Budget) -> dict[str, Any]:
    """What the chart needs."""
    return {
        "groups": {name: dict(usd) for name, usd in total.groups.items()},
        "unknown": total.unknown,
        "planned": limit.planned_usd,
        "limit": limit.limit_usd,
    }


def _row(line: Line) -> dict[str, Any]:
    def usd(value: float | None) -> str:
        return "not known" if value is None else f"{value:.2f}"

    return {
        "item": line.item,
        "quantity": f"{line.quantity:,.4g} {line.unit}" if line.quantity < 1e4 else _many(line),
        "USD a unit": "not known" if line.price is None else f"{line.price:.5g}",
        "USD now": usd(line.usd),
        "USD in a year": usd(line.usd_later),
    }


def _many(line: Line) -> str:
    return f"{line.quantity:,.0f} {line.unit}"
