"""One stage: ask, plan, show, agree, apply, and prove that nothing is left to do."""

import difflib
from collections.abc import Callable
from typing import Any

from chronos_ops.execution.apply import apply, refuse
from chronos_ops.execution.context import Context
from chronos_ops.execution.guard import leftovers
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import WOULD_BE_REFUSED, Finding, Status, broken_rule, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.plan import Change, Effect, Plan
from chronos_ops.model.stage import Stage

Agree = Callable[[Plan, str], None]  # gets the plan and its diff; raises Refused


def make_plan(stage: Stage, context: Context) -> Plan:
    """Ask the stage's facts and think. Changes nothing."""
    values: dict[str, Any] = {}
    for name, fact in stage.ask(context.settings).items():
        context.say(f"asking: {fact.name}")
        values[name] = context.ask(fact)
    return stage.plan(context.settings, values)


def show(plan: Plan, *, allow_restart: bool) -> Outcome:
    """What a plan would do (the dry run), and what a real run would refuse."""
    if plan.refusals:
        summary = "**Would be refused:** " + "; ".join(plan.refusals)
    elif plan.empty:
        summary = f"Nothing to do: {plan.noop_reason or 'all is as declared'}."
    else:
        summary = f"{_count(plan)} would be made. Effect on the database: {plan.effect}"
        harsh = plan.effect in (Effect.RESTART, Effect.STOP)
        summary += " (refused without `allow_restart`)." if harsh and not allow_restart else "."
    return Outcome(
        summary=summary,
        text=plan_text(plan),
        findings=[_would_be_refused(plan)] if plan.refusals else [],
        measures=_measures(plan, 0),
    )


def _would_be_refused(plan: Plan) -> Finding:
    """A dry run with it does not end well: nor would the real one."""
    return judge(
        f"stage.{plan.name}{WOULD_BE_REFUSED}",
        f"The stage `{plan.name}` can be applied to this target",
        passed=False,
        observed="; ".join(plan.refusals),
        expected="nothing is refused",
        hint="mend it on the target or in the parameter file, then look again",
        requirement="B3",
    )


def known_after_apply(name: str, error: ChronosError) -> Outcome:
    """In a dry run: what is asked does not exist before an earlier stage was applied."""
    return Outcome(
        summary=f"`{name}`: known after apply. An earlier stage comes first.",
        text=f"not known yet: {error.text()}",
    )


def judge_declared(plan: Plan) -> Outcome:
    """Judge only: what a run would change, or refuse, is a finding (drift; failure 7)."""
    due = [*(change.title for change in plan.changes), *plan.refusals]
    found = judge(
        f"stage.{plan.name}.as-declared",
        f"`{plan.name}` is as declared",
        passed=not due,
        observed="; ".join(due) or plan.noop_reason or "nothing to do",
        expected="nothing to do",
        hint="mend what would be refused; the rest a run without `check_only` brings back",
        requirement="B3",
    )
    return Outcome(
        summary=f"{_count(plan)} due." if due else f"As declared: {found.observed}.",
        findings=[found],
        text=plan_text(plan),
        measures=_measures(plan, 0),
    )


def could_not_look(cell: str, error: ChronosError) -> Outcome:
    """Judge only: a check that broke is an error among the others, and they go on."""
    summary = f"`{cell}` could not be carried out."
    return Outcome(summary=summary, findings=[_what_broke(cell, error)])


def ended_by(cell: str, error: Exception) -> Outcome | None:
    """What is recorded of a step that broke; None: wrong usage, or an error of this code."""
    if not isinstance(error, ChronosError) or error.exit_status == 2:
        return None
    return Outcome(summary="The run ends here.", findings=[_what_broke(cell, error)])


def _what_broke(cell: str, error: ChronosError) -> Finding:
    return broken_rule(error) or Finding(
        id=f"step.{cell}.could-run",
        title=f"the step `{cell}` could be carried out",
        status=Status.ERROR,
        observed=error.noun + (f": {error.value}" if error.value is not None else ""),
        expected="an answer",
        hint=error.hint or "mend what it names, then look again",
        requirement="B9",
    )


def carry_out(stage: Stage, context: Context, agree: Agree) -> Outcome:
    """Apply what the stage finds to do; a second look must find nothing.

    Raises UnfitTarget (the plan's own refusals), Refused (a restart that was not allowed, no
    consent, another run's guard that is still armed).
    """
    left = leftovers(context.ssh)  # before asking: what is unconfirmed may go at any moment (H9)
    for told in left:
        context.journal.note("guard", told=told)
    plan = make_plan(stage, context)
    allow_restart = bool(getattr(context.parameters, "allow_restart", False))
    refuse(plan, allow_restart=allow_restart)
    if plan.empty:
        return Outcome(
            summary=_with(left, f"Nothing to do: {plan.noop_reason or 'all is as declared'}."),
            measures=_measures(plan, 0),
        )
    text = plan_text(plan)
    agree(plan, text)
    applied = apply(plan, context, allow_restart=allow_restart)
    again = make_plan(stage, context)
    settled = judge(
        f"stage.{stage.name}.settled",
        f"A second plan of `{stage.name}` is empty",
        passed=again.empty and not again.refusals,
        observed="; ".join((*(c.title for c in again.changes), *again.refusals)) or "nothing to do",
        expected="nothing to do",
        hint="what was applied did not take effect: look at the host's own logs",
        requirement="B3",
    )
    return Outcome(
        summary=_with(left, f"{_count(plan)} made. Effect on the database: {plan.effect}."),
        findings=[settled],
        text=text,
        measures=_measures(plan, len(applied)),
    )


def _with(left: list[str], summary: str) -> str:
    return " ".join([summary, *(f"Before it: {told}." for told in left)])


def plan_text(plan: Plan) -> str:
    """Every change with its reason and its diff."""
    return "\n\n".join(_change_text(change) for change in plan.changes)


def _change_text(change: Change) -> str:
    effect = f" [{change.effect}]" if change.effect is not Effect.NONE else ""
    lines = [f"{change.title}{effect}", f"    why: {change.why}"]
    before, after = change.before.splitlines(), change.after.splitlines()
    diff = list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
    lines += [line for line in diff if not line.startswith("@@")]
    return "\n".join(lines)


def _count(plan: Plan) -> str:
    return "1 change" if len(plan.changes) == 1 else f"{len(plan.changes)} changes"


def _measures(plan: Plan, applied: int) -> dict[str, Any]:
    return {f"changes.{plan.name}": {"planned": len(plan.changes), "applied": applied}}
