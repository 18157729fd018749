"""Carry a plan out: the journal first, then the deed. A restart needs the operator's word (B3)."""

from collections.abc import Callable, Sequence

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import Doer
from chronos_ops.execution.guard import Guard
from chronos_ops.execution.guard_client import ClientGuard
from chronos_ops.model.errors import ChronosError, Refused, UnfitTarget
from chronos_ops.model.plan import CallAws, Change, Effect, Plan


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
    `undo` is journalled as a resource before the deed). Raises, before anything is touched,
    UnfitTarget if the plan must not be applied, Refused if it would restart PostgreSQL without
    `allow_restart`. A change that acts on the running database and breaks is undone at once; a
    guarded one that a new connection does not confirm is taken back by the host (ChronosError).
    """
    refuse(plan, allow_restart=allow_restart)
    doer = Doer(context.aws, ssh or context.ssh, context.journal.keep_secret)

    def carry_out(changes: Sequence[Change]) -> None:
        for change in changes:
            context.say(f"{change.title} …")
            _apply_change(change, context, doer, temporary=temporary)

    places = [number for number, change in enumerate(plan.changes) if change.guard]
    if not places:
        carry_out(plan.changes)
    else:
        first, end = places[0], places[-1] + 1
        guarded = [plan.changes[number] for number in places]
        guard = _guard(plan.name, guarded, context, doer)
        carry_out(plan.changes[:first])
        _guarded(plan.changes[first:end], guard, carry_out)
        carry_out(plan.changes[end:])
    return [change.id for change in plan.changes]


def _guard(name: str, changes: list[Change], context: Context, doer: Doer) -> Guard | ClientGuard:
    """The host takes its own changes back; what is undone by AWS calls, this machine."""
    if all(isinstance(deed, CallAws) for change in changes for deed in change.undo):
        return ClientGuard(name, changes, context, doer.ssh, doer)
    return Guard(name, changes, context, doer.ssh)


def _guarded(
    changes: Sequence[Change],
    guard: Guard | ClientGuard,
    carry_out: Callable[[Sequence[Change]], None],
) -> None:
    """The way back first; taken away only by a second connection, else taken (H9)."""
    try:
        guard.arm()
        for number, change in enumerate(changes):
            if number:
                guard.renew()
            carry_out((change,))
        guard.confirm()
    except BaseException as error:
        instead = guard.take_back(error)
        if instead is None:
            raise
        raise instead from error


def refuse(plan: Plan, *, allow_restart: bool) -> None:
    """Raise UnfitTarget for what was found on the target, Refused for a restart not agreed to."""
    if plan.refusals:
        raise UnfitTarget(f"the plan {plan.name} must not be applied", "; ".join(plan.refusals))
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
        try:
            for deed in change.deeds:
                doer.do(deed)
        except ChronosError as error:
            if change.effect is not Effect.NONE and change.undo:
                _undo(change, context, doer, error)
            raise


def _undo(change: Change, context: Context, doer: Doer, error: ChronosError) -> None:
    """The database must not stay down, nor meet our half-done change at its next start (B3)."""
    context.say(f"{change.title} failed: undoing it …")
    broken: ChronosError | None = None
    with context.journal.interval("deed", f"undo {change.id}", because=error.noun):
        for deed in change.undo:
            try:
                doer.do(deed)
            except ChronosError as reason:  # the rest of it nevertheless
                broken = broken or reason
    if broken is None:
        error.add(f"the change {change.id} was undone")
    else:
        error.add(f"the change {change.id} could NOT be undone ({broken.noun}: {broken.value})")
