"""PITR of the target's own backups, proven from both sides on a scratch host (B5).

Two commits of ours around a moment; restored to that moment elsewhere; the last commit before is
there, the first after is not. The declared host is written one marker table, nothing else.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from chronos_ops.drill import marker
from chronos_ops.drill.archived import switch_segment, wait_stored
from chronos_ops.drill.objectives import PhaseClock
from chronos_ops.drill.recovering import harmless
from chronos_ops.drill.restore import (
    DrillHost,
    make_drill_host,
    reach_repository,
    recover,
    restore,
)
from chronos_ops.drill.snapshot import check_snapshot
from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import destroy
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import RecoveryTarget, at_time
from chronos_ops.model.timing import Phase

BEFORE, AFTER = "last before the target", "first after the target"


@dataclass(frozen=True)
class _Scratch:
    """The scratch host, with the time that it took to make."""

    host: DrillHost
    phase: Phase


_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scratch-host")
_begun: dict[str, "Future[_Scratch]"] = {}


def begin_scratch_host(context: Context) -> Outcome:
    """Begin to make the scratch host of the PITR proof; other steps go on meanwhile."""
    if not getattr(context.parameters, "pitr_test", True):
        return Outcome(summary="Not needed: `pitr_test = False`.")
    source = check_snapshot(context) or "a bare image"
    quiet = replace(context, say=lambda line: None)  # this cell's line is not its any more
    _begun[context.run_id] = _pool.submit(_make, quiet)
    return Outcome(summary=f"A scratch host is being made from {source}.")


def settle_scratch_host(context: Context) -> Outcome:
    """Wait until nothing is being made any more: the teardown removes what there is then."""
    begun = _begun.pop(context.run_id, None)
    if begun is not None and not begun.cancel():
        with context.journal.interval("wait", "the scratch host"):
            begun.exception()  # an error was the proof's; here it only must have ended
    return Outcome(summary="Nothing is being made.")


def _make(context: Context) -> _Scratch:
    clock = PhaseClock.now()
    host = make_drill_host(context, context.settings, "pitr")
    return _Scratch(host, clock.close("provision"))


def prove_pitr(context: Context) -> Outcome:
    """Restore the target's repository to a moment between two commits, on a scratch host."""
    begun = _begun.get(context.run_id)
    with ThreadPoolExecutor(max_workers=1) as pool:
        marked = pool.submit(_mark, context)  # the scratch host is made meanwhile
        scratch = begun.result() if begun else _make(context)
        target, segment = marked.result()
    clock = PhaseClock.now()
    host = reach_repository(context, scratch.host)
    backup = restore(context, host, target)
    clock.close("restore")
    recovery = recover(context, host, target)
    now = clock.now_monotonic()
    clock.close("recovery", now - recovery.promote_seconds)
    clock.close("promote", now)
    there = marker.notes(host.ssh, context.run_id)
    clock.close("verify")
    findings = [*host.findings, *judge_sides(there), *harmless(host.ssh)]
    _destroy(context, host)
    seconds = scratch.phase.seconds + clock.elapsed
    return Outcome(
        summary=f"Backup `{backup.label}` restored to {target.value} on a scratch host: "
        f"{scratch.phase.seconds:.1f} s for the host, {clock.elapsed:.1f} s from there to the "
        f"first query. The WAL up to {segment} had reached the repository. The host is gone.",
        findings=findings,
        phases=[scratch.phase, *clock.phases],
        measures={"pitr_seconds": round(seconds, 3)},
    )


def _mark(context: Context) -> tuple[RecoveryTarget, str]:
    """Two commits around a moment, and their WAL in the repository."""
    ssh, run_id = context.ssh, context.run_id
    marker.prepare(ssh)
    marker.write(ssh, run_id, BEFORE)
    target = at_time(datetime.fromisoformat(marker.now(ssh)["now"]))
    marker.write(ssh, run_id, AFTER)
    segment = switch_segment(ssh)
    wait_stored(context, ssh, context.settings.backup.stanza, segment)
    return target, segment


def judge_sides(there: set[str]) -> list[Finding]:
    """Both sides of the target."""
    seen = ", ".join(sorted(there)) or "no marker of this run"
    return [
        judge(
            "backup.pitr.before-present",
            "PITR: the last commit before the target is there",
            passed=BEFORE in there,
            observed=seen,
            expected=BEFORE,
            requirement="B5",
        ),
        judge(
            "backup.pitr.after-absent",
            "PITR: the first commit after the target is not there",
            passed=BEFORE in there and AFTER not in there,
            observed=seen,
            expected=f"not: {AFTER}",
            requirement="B5",
        ),
    ]


def _destroy(context: Context, host: DrillHost) -> None:
    """Now rather than at the teardown: a scratch host holds a copy of everything."""
    name = host.provisioned.name
    host.ssh.close()
    destroy(context.aws, name, context.run_id)
    context.journal.removed(f"lightsail:instance/{name}")
