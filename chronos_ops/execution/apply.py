"""Carry a plan out: the journal first, then the deed. A restart needs the operator's word (B3)."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import Doer
from chronos_ops.model.errors import Refused
from chronos_ops.model.plan import Change, Effect, Plan


def apply(
    plan: Plan,
    context: Context,
    *,
    ssh: Ssh | None = None,
    allow_restart: bool = False,
    temporary: bool = False,
) -> list[str]:
    """Apply every change in order; returns their ids.

    `temporary`: what the changes create belongs to this run and is removed at its end (their
    `undo` is journalled as a resource before the deed). Raises Refused before anything is touched
    if the plan must not be applied or would restart PostgreSQL without `allow_restart`.
    """
    refuse(plan, allow_restart=allow_restart)
    doer = Doer(context.aws, ssh or context.ssh, context.journal.keep_secret)
    applied: list[str] = []
    for change in plan.changes:
        context.say(f"{change.title} …")
        _apply_change(change, context, doer, temporary=temporary)
        applied.append(change.id)
    return applied


def refuse(plan: Plan, *, allow_restart: bool) -> None:
    """Raise Refused where this plan must not be applied as it is."""
    if plan.refusals:
        raise Refused(f"the plan {plan.name} must not be applied", "; ".join(plan.refusals))
    harsh = [c for c in plan.changes if c.effect in (Effect.RESTART, Effect.STOP)]
    if harsh and not allow_restart:
        raise Refused(
            "PostgreSQL would have to be restarted",
            ", ".join(f"{c.title} ({c.effect})" for c in harsh),
            hint="agree to it with `-p allow_restart=true`, in a quiet hour",
        )


def _apply_change(change: Change, context: Context, doer: Doer, *, temporary: bool) -> None:
    journal = context.journal
    if temporary and change.creates:
        journal.resource(change.creates, change.undo)
    with journal.interval(
        "deed",
        change.id,
        title=change.title,
        deeds=[deed.model_dump(mode="json") for deed in change.deeds],
        undo=[deed.model_dump(mode="json") for deed in change.undo],
    ):
        for deed in change.deeds:
            doer.do(deed)
