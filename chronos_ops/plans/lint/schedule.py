"""What the timers of this machine would run on the target (R2, P1)."""

import datetime
from itertools import combinations, pairwise

from chronos_ops.model.calendar import parse_calendar
from chronos_ops.model.schedule import Schedule
from chronos_ops.plans.lint.rule import Rule, Said, Subject, not_applicable, said

_APART = datetime.timedelta(hours=1)  # a drill's run; the random delay comes on top
_DAYS = 62  # every day of a month


def _identity(subject: Subject) -> Said:
    if not subject.schedules:
        return _none(subject)
    return said(
        good=subject.login not in ("sso", "temporary keys", "nothing"),
        observed=f"{subject.settings.aws.profile} logs in by {subject.login}",
    )


def _collisions(subject: Subject) -> Said:
    if not subject.schedules:
        return _none(subject)
    found = [
        f"{one.runbook} and {other.runbook} at {moment:%Y-%m-%d %H:%M} UTC"
        for one, other in combinations(subject.schedules, 2)
        if (moment := _meet(one, other, subject.today))
    ]
    return said(
        good=not found, observed="; ".join(found) or f"{len(subject.schedules)} schedules apart"
    )


def _none(subject: Subject) -> Said:
    where = "this machine's timers were not asked: see `./chronos lint`"
    return not_applicable(where if subject.schedules is None else "nothing is scheduled here")


def _meet(one: Schedule, other: Schedule, today: datetime.date) -> datetime.datetime | None:
    """The first moment of one that lies within an hour, and both delays, of one of the other."""
    start = datetime.datetime.combine(today, datetime.time(), datetime.UTC)
    end = start + datetime.timedelta(days=_DAYS)
    near = _APART + datetime.timedelta(seconds=max(one.delay_seconds, other.delay_seconds))
    moments = sorted(
        (moment, which)
        for which, schedule in enumerate((one, other))
        for moment in parse_calendar(schedule.calendar).between(start, end)
    )
    for (moment, which), (later, whose) in pairwise(moments):
        if which != whose and later - moment < near:
            return moment
    return None


RULES = (
    Rule(
        "lint.schedule.identity",
        "Scheduled runs log in by themselves",
        "a profile with keys of its own, no SSO",
        "an SSO login ends within hours, and nobody is there at night to renew it.",
        "P1",
        "Name a profile with keys (chronos-drill) in aws.profile.",
        _identity,
    ),
    Rule(
        "lint.schedule.collisions",
        "Scheduled runbooks of one target do not meet",
        "their slots are an hour and the delay apart",
        "one run per target at a time: the second would be refused, its slot lost.",
        "R2",
        "Move one: `./chronos schedule add RUNBOOK --target NAME --calendar WHEN`.",
        _collisions,
    ),
)
