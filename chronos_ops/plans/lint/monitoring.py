"""What monitoring parameters promise together: who is told, in time, and for how much (M)."""

from chronos_ops.plans.lint.rule import Rule, Said, Subject, said

_LEAST_TICKS = 3  # of the publisher in a period: one that is late leaves no gap
_VITALS = ("heartbeat", "disk_used_percent", "cpu_used_percent", "memory_used_percent")


def _email(subject: Subject) -> Said:
    address = subject.settings.monitoring.email
    return said(good=bool(address), observed=address or "none declared")


def _key(subject: Subject) -> Said:
    """alias/aws/sns itself is refused by the model."""
    key = subject.settings.monitoring.topic_key
    if not key:
        return said(good=True, observed="not encrypted")
    if "alias/aws/" in key:
        return said(good=False, observed=f"{key}: Amazon's own key")
    return said(good=True, observed=f"{key}: its policy must admit CloudWatch and Budgets")


def _ticks(subject: Subject) -> Said:
    monitoring = subject.settings.monitoring
    every, period = monitoring.publish_seconds, monitoring.period_seconds
    return said(
        good=every * _LEAST_TICKS <= period,
        observed=f"every {every} s into periods of {period} s",
    )


def _metrics(subject: Subject) -> Said:
    monitoring = subject.settings.monitoring
    number, prices = len(set(monitoring.metrics)), monitoring.prices
    beyond = max(0, number - prices.free_metrics)
    alarms = max(0, number - prices.free_alarms)
    usd = beyond * prices.metric_month + alarms * prices.alarm_month
    price = f": {usd:.2f} USD a month with their alarms" if beyond else ", free"
    return said(good=not beyond, observed=f"{number} metrics, {beyond} beyond the free{price}")


def _vitals(subject: Subject) -> Said:
    missing = [name for name in _VITALS if name not in subject.settings.monitoring.metrics]
    return said(good=not missing, observed=f"missing: {', '.join(missing) or 'none'}")


def _resolution(subject: Subject) -> Said:
    monitoring = subject.settings.monitoring
    usd = len(monitoring.metrics) * monitoring.prices.high_resolution_alarm_month
    high = monitoring.period_seconds < 60
    price = f": high resolution, {usd:.2f} USD a month, none free" if high else ""
    return said(good=not high, observed=f"periods of {monitoring.period_seconds} s{price}")


def _money(subject: Subject) -> Said:
    budget = subject.settings.monitoring.budget
    return said(
        good=budget.limit_usd >= budget.planned_usd,
        observed=f"budget {budget.limit_usd:g} USD, planned {budget.planned_usd:g} USD",
    )


def _notified(subject: Subject) -> Said:
    shares = sorted(subject.settings.monitoring.budget.notify_percent)
    early = any(share < 100 for share in shares)
    return said(
        good=early and 100 in shares, observed=", ".join(f"{s:g} %" for s in shares) or "never"
    )


RULES = (
    Rule(
        "lint.monitoring.email",
        "Somebody is told",
        "an address in monitoring.email",
        "an alarm that nobody hears is none.",
        "M3",
        "Declare monitoring.email; somebody must read it.",
        _email,
    ),
    Rule(
        "lint.monitoring.topic-key",
        "The topic's key does not silence the alarms",
        "none, or a customer key",
        "Amazon's own key for SNS does not admit CloudWatch: alarms fire into nothing.",
        "Amazon SNS Developer Guide, key management",
        "Leave monitoring.topic_key out, or name a customer key.",
        _key,
    ),
    Rule(
        "lint.monitoring.ticks",
        "A tick of the publisher that is late leaves no period empty",
        f"at least {_LEAST_TICKS} ticks in a period",
        "missing data is breaching: one late tick would be an alarm.",
        "Amazon CloudWatch User Guide, missing data",
        "Shorten monitoring.publish_seconds, or lengthen monitoring.period_seconds.",
        _ticks,
    ),
    Rule(
        "lint.monitoring.metrics",
        "The metrics cost nothing",
        "no more than are free",
        "each beyond the free ones is paid each month, with its alarm.",
        "Amazon CloudWatch pricing",
        "Leave the less useful ones out of monitoring.metrics, or accept their price.",
        _metrics,
    ),
    Rule(
        "lint.monitoring.vitals",
        "Heartbeat, disk, CPU and memory are watched",
        ", ".join(_VITALS),
        "a full disk stops the database; without a heartbeat silence is taken for health.",
        "M1, M2",
        "Put them into monitoring.metrics.",
        _vitals,
    ),
    Rule(
        "lint.monitoring.resolution",
        "Alarms are of standard resolution",
        "periods of 60 s and more",
        "an alarm of high resolution costs three times as much, and none is free.",
        "Amazon CloudWatch pricing",
        "Lengthen monitoring.period_seconds.",
        _resolution,
    ),
    Rule(
        "lint.monitoring.budget",
        "The budget is not below the plan",
        "monitoring.budget.limit_usd >= planned_usd",
        "it would be exceeded as planned, and its notification ignored.",
        "M6",
        "Mend monitoring.budget.",
        _money,
    ),
    Rule(
        "lint.monitoring.notified",
        "The budget tells before it is spent, and when it is",
        "a share below 100 %, and 100 %",
        "a bill is read when the month is over.",
        "AWS Budgets, best practices",
        "Put 80 and 100 into monitoring.budget.notify_percent.",
        _notified,
    ),
)
