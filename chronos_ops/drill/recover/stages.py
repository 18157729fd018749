"""Stages of the runbooks, carried out on the new host: ask, plan, apply, and ask again (D9)."""

import time
from collections.abc import Iterable

from chronos_ops.drill.primary import ask_all
from chronos_ops.execution.apply import apply
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError, UnfitTarget
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.plan import Plan
from chronos_ops.model.stage import Stage

_REQUIREMENT = "D9"
Table = list[dict[str, str]]


def bring(context: Context, stage: Stage) -> tuple[Plan, Finding]:
    """What the stage had to do here, done; and whether a second look finds nothing to do.

    Raises what planning and applying raise.
    """
    made = _plan(context, stage)
    apply(made, context, allow_restart=True)
    again = _plan(context, stage)
    left = [*(change.title for change in again.changes), *again.refusals]
    return made, judge(
        f"recover.stage.{stage.name}",
        f"`{stage.name}` is on the new host as declared",
        passed=not left,
        observed="; ".join(left) or "nothing more to do",
        expected="nothing more to do",
        hint="run the runbook of this stage on the target",
        requirement=_REQUIREMENT,
    )


def bring_all(context: Context, stages: Iterable[Stage]) -> tuple[Table, list[Finding]]:
    """All of them, for the table and as findings; one that breaks is an error, and they go on."""
    table: Table = []
    findings: list[Finding] = []
    for stage in stages:
        try:
            made, found = bring(context, stage)
        except ChronosError as error:
            found = _broken(stage, error)
            table.append({"stage": stage.name, "done": f"failed: {error.noun}"})
        else:
            done = "; ".join(change.title for change in made.changes)
            table.append({"stage": stage.name, "done": done or f"nothing: {made.noop_reason}"})
        findings.append(found)
    return table, findings


def bring_when_fit(context: Context, stage: Stage, seconds: float) -> tuple[Plan, Finding]:
    """As `bring`; a target that is not fit yet (metrics do not flow) is asked again so long."""
    deadline = time.monotonic() + seconds
    with context.journal.interval("wait", f"the target is fit for {stage.name}"):
        while True:
            try:
                _plan(context, stage)
                break
            except UnfitTarget:
                if time.monotonic() > deadline:
                    raise
            time.sleep(1.0)
    return bring(context, stage)


def _plan(context: Context, stage: Stage) -> Plan:
    return stage.plan(context.settings, ask_all(context, stage.ask(context.settings), context.ssh))


def _broken(stage: Stage, error: ChronosError) -> Finding:
    return Finding(
        id=f"recover.stage.{stage.name}",
        title=f"`{stage.name}` is on the new host as declared",
        status=Status.ERROR,
        observed=error.text()[:600],
        expected="nothing more to do",
        hint=error.hint or "run the runbook of this stage on the target",
        requirement=_REQUIREMENT,
    )
