"""What is there now: each stage asked and planned, nothing applied; each look taken (R8)."""

from collections.abc import Sequence

from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status, judge, not_known
from chronos_ops.model.stage import Stage
from chronos_ops.readiness.item import Item
from chronos_ops.runbook_stage import make_plan


def judge_stage(stage: Stage, context: Context) -> Finding:
    """As declared, if its plan is empty. What cannot be asked, or planned, is not known."""
    identifier, title = f"readiness.stage.{stage.name}", f"Stage `{stage.name}`"
    try:
        plan = make_plan(stage, context)
    except ChronosError as error:
        return not_known(identifier, title, error, "R8")
    number, titles = len(plan.changes), "; ".join(change.title for change in plan.changes)
    to_do = [f"{number} change{'s' if number > 1 else ''} to make: {titles}"] if number else []
    refused = [f"refused: {text}" for text in plan.refusals]
    return judge(
        identifier,
        title,
        passed=not to_do and not refused,
        observed="; ".join([*refused, *to_do]) or plan.noop_reason or "nothing to do",
        expected="nothing to do",
        requirement="R8",
    )


def look_at(item: Item, context: Context, kept: dict[str, list[Finding]]) -> list[Finding]:
    """Everything that an item wants to be so now. `kept`: what was looked at for items before."""
    found: list[Finding] = []
    for stage in item.stages:
        if stage.name not in kept:
            context.say(f"{item.title}: asking {stage.name} …")
            kept[stage.name] = [judge_stage(stage, context)]
        found += kept[stage.name]
    for look in item.looks:
        key = f"{look.id} {look.title}"
        if key not in kept:
            context.say(f"{item.title}: {look.title} …")
            try:
                kept[key] = look.take(context)
            except ChronosError as error:
                kept[key] = [not_known(look.id, look.title, error, look.requirement)]
        found += kept[key]
    return found


def status_of(findings: Sequence[Finding]) -> Status:
    """Pass only by positive proof: nothing failed, nothing is unknown, and something passed."""
    seen = {finding.status for finding in findings}
    if Status.FAIL in seen:
        return Status.FAIL
    if seen - {Status.PASS, Status.NOT_APPLICABLE} or Status.PASS not in seen:
        return Status.UNKNOWN
    return Status.PASS
