"""PITR of the target's own backups, proven from both sides on a scratch host (B5).

Two commits of ours around a moment; restored to that moment elsewhere; the last commit before is
there, the first after is not. The declared host is written one marker table, nothing else.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from chronos_ops.drill import hosts, marker
from chronos_ops.drill.objectives import PhaseClock
from chronos_ops.drill.recovering import harmless
from chronos_ops.drill.restore import DrillHost, provision_drill_host, recover, restore
from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import destroy
from chronos_ops.facts.wal_archive import ARCHIVER
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import RecoveryTarget, at_time

ARCHIVE_SECONDS = 180.0
BEFORE, AFTER = "last before the target", "first after the target"


def prove_pitr(context: Context) -> Outcome:
    """Restore the target's repository to a moment between two commits, on a scratch host."""
    clock = PhaseClock.now()
    with ThreadPoolExecutor(max_workers=1) as pool:
        marked = pool.submit(_mark, context)  # the scratch host is made meanwhile
        host = provision_drill_host(context, context.settings, "pitr")
        target, segment = marked.result()
    clock.close("provision")
    backup = restore(context, host, target)
    clock.close("restore")
    recovery = recover(context, host, target)
    now = clock.now_monotonic()
    clock.close("recovery", now - recovery.promote_seconds)
    clock.close("promote", now)
    there = marker.notes(host.ssh, context.run_id)
    clock.close("verify")
    harmless_seen = harmless(host.ssh)
    _destroy(context, host)
    return Outcome(
        summary=f"Backup `{backup.label}` restored to {target.value} on a scratch host, "
        f"{clock.elapsed:.1f} s from the first call to the first query. The WAL up to {segment} "
        "had reached the repository. The scratch host is gone.",
        findings=[*judge_sides(there), *harmless_seen],
        phases=clock.phases,
        measures={"pitr_seconds": round(clock.elapsed, 3)},
    )


def _mark(context: Context) -> tuple[RecoveryTarget, str]:
    """Two commits around a moment, and their WAL in the repository."""
    ssh, run_id = context.ssh, context.run_id
    marker.prepare(ssh)
    marker.write(ssh, run_id, BEFORE)
    target = at_time(datetime.fromisoformat(marker.now(ssh)["now"]))
    marker.write(ssh, run_id, AFTER)
    segment = marker.now(ssh)["segment"]
    ssh.sql("SELECT pg_switch_wal();")
    wait_archived(context, segment)
    return target, segment


def wait_archived(context: Context, segment: str, seconds: float = ARCHIVE_SECONDS) -> None:
    """Until the declared host's archiver has sent a segment. Raises ChronosError."""
    deadline = time.monotonic() + seconds
    with context.journal.interval("wait", f"archiving of {segment}"):
        while True:
            archiver = context.ask(ARCHIVER)
            if archiver.last_archived[:24] >= segment:
                return
            if time.monotonic() > deadline:
                raise ChronosError(
                    f"WAL segment {segment} was not archived in {seconds:.0f} s",
                    archiver,
                    hint="see the PostgreSQL log and `pgbackrest check`",
                )
            time.sleep(0.2)


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
    hosts.forget_keys(context)
