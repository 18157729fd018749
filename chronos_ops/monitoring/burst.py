"""Lightsail's burst capacity, asked from here: the host cannot know it (M8)."""

from datetime import UTC, datetime, timedelta

from chronos_ops.execution.context import Context
from chronos_ops.facts import burst
from chronos_ops.facts.burst import Datapoint
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome

_HOURS = 3
_ID, _TITLE = "monitoring.burst", "The instance may still burst"


def burst_capacity(context: Context) -> Outcome:
    """Ask Lightsail how much burst capacity the declared instance has left."""
    name, now = context.settings.host.instance, datetime.now(UTC)
    found = context.ask(burst.burst_capacity(name, now - timedelta(hours=_HOURS), now))
    least = context.settings.monitoring.burst_least_percent
    finding = judged(found, least)
    points = [(p.at.isoformat(), p.percent) for p in found or ()]
    return Outcome(
        summary=f"Burst capacity of `{name}`: {finding.observed}.",
        findings=[finding],
        measures={"monitoring.burst": points},
    )


burst_capacity.probe = True  # type: ignore[attr-defined] # reads only


def judged(found: list[Datapoint] | None, least: float) -> Finding:
    """By the newest value; none at all is not known, and no such metric is no object."""
    expected = f"at least {least:g} %"
    if found is None:
        return Finding(
            id=_ID,
            status=Status.NOT_APPLICABLE,
            title=_TITLE,
            observed="this Lightsail gives no such metric",
            expected=expected,
            requirement="M8",
        )
    newest = f"{found[-1].percent:.0f} % at {found[-1].at:%H:%M} UTC" if found else ""
    return judge(
        _ID,
        _TITLE,
        passed=found[-1].percent >= least if found else None,
        observed=newest or f"no datapoint in {_HOURS} hours",
        expected=expected,
        hint="what burns the CPU (pg_stat_activity)? At 0 % the instance falls to its baseline: "
        "a larger bundle"
        if found
        else "is the instance's name right, and is it running?",
        requirement="M8",
    )
