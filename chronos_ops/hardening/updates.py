"""Security updates as they really come: configuration in effect, timers, last success (H6)."""

from typing import Any

from chronos_ops.execution.context import Context
from chronos_ops.facts.updates import Updates
from chronos_ops.model.outcome import Outcome
from chronos_ops.plans.judge_updates import judge_updates
from chronos_ops.plans.updates import facts


def updates(context: Context) -> Outcome:
    """Ask, and judge; what waits for a maintenance window is listed."""
    context.say("asking apt, its timers and needrestart …")
    values: dict[str, Any] = {}
    for name, fact in facts(context.settings).items():
        values[name] = context.ask(fact)
    found: Updates = values["updates"]
    table = [
        {
            "package": pending.package,
            "installed": pending.installed,
            "waiting": ", ".join(pending.waiting),
            "kept back by": ", ".join(pending.behind) or "its own hold",
            "first seen": f"{pending.since:%Y-%m-%d}" if pending.remembered else "now",
        }
        for pending in found.pending
    ]
    count = len(table)
    return Outcome(
        summary=f"{len(found.held)} packages wait for a maintenance window; "
        + (f"{count} security updates wait with them." if count else "no security update does."),
        table=table,
        findings=judge_updates(context.settings, values),
        measures={"updates.pending": table},
    )


updates.probe = True  # type: ignore[attr-defined] # looks only
