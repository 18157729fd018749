"""Nothing is lost: every kind of recovery target is restored to, and proven from both sides."""

import time
from datetime import datetime, timedelta
from typing import cast

from chronos_ops.drill.matrix import Cell, Ledger, judge_times
from chronos_ops.drill.matrix_cells import AFTER_BACKUP, Moments, build, chosen, names, needs_fork
from chronos_ops.drill.moments import (
    DATABASE_ZONE,
    DRILL_HOST_ZONE,
    FEW,
    HOST_ZONE,
    LOG_ZONE,
    commit_times,
    fork,
    judge_zones,
    more,
    read_wal,
    restore_point,
    set_host_zone,
    set_zones,
    store_all,
    write_late,
)
from chronos_ops.drill.objectives import PhaseClock
from chronos_ops.drill.primary import full_backup
from chronos_ops.drill.proving import prove
from chronos_ops.drill.state import Drill
from chronos_ops.drill.synthetic import Synthetic, parameters
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import UsageError
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.timing import utc_now

POINT = "before 'the' release \\ ö"  # a name that wants quoting in postgresql.auto.conf


class PitrMatrix(Synthetic):
    id = "pitr_matrix"
    title = "point-in-time recovery to every kind of target"
    point_in_time = True

    def check_target(self, context: Context, drill: Drill, asked: RecoveryTarget) -> Outcome:
        """The cells are the targets."""
        if asked != RecoveryTarget():
            raise UsageError(
                f"scenario {self.id} has targets of its own",
                f"asked for {asked}",
                hint=f"leave recovery_target empty; pitr_cells chooses of: {', '.join(names())}",
            )
        wanted = chosen(parameters(context).pitr_cells)
        outcome = super().check_target(context, drill, asked)
        drill.keep("cells", wanted)
        return outcome.model_copy(
            update={"summary": f"Scenario **{self.title}**: {len(wanted)} cells."}
        )

    def provision_primary(self, context: Context, drill: Drill) -> Outcome:
        outcome = super().provision_primary(context, drill)
        set_zones(drill.primary)
        zones = f"Host in {HOST_ZONE}, database in {DATABASE_ZONE}, log in {LOG_ZONE}."
        return outcome.model_copy(update={"summary": f"{outcome.summary} {zones}"})

    def baseline_backup(self, context: Context, drill: Drill) -> Outcome:
        began = time.monotonic()
        outcome = super().baseline_backup(context, drill)
        drill.keep("baseline", (began, time.monotonic(), utc_now()))
        return outcome

    def inject_fault(self, context: Context, drill: Drill) -> Outcome:
        """Nothing is struck: the moments to aim at are made, then the writer ends."""
        drill.probe.stop()
        wanted = cast(tuple[str, ...], drill.part("cells", "check-target"))
        moments = make_moments(context, drill, forked=needs_fork(wanted))
        cells = build(moments, wanted)
        drill.keep("moments", moments)
        drill.keep("matrix", cells)
        drill.keep("clock", PhaseClock.now())
        ledger = moments.ledger
        return Outcome(
            summary=f"Nothing is struck. {len(ledger.acked)} commits are on record and "
            f"{len(cells)} targets among them"
            + (", on two timelines." if ledger.fork else ".")
            + " All their WAL is in the repository, and the writer has ended.",
            table=[{"cell": cell.name, "target": str(cell.target)} for cell in cells],
            findings=[judge_times(ledger, moments.stamps)],
        )

    def detect(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("nothing was struck, so there is nothing to detect")

    def provision_drill_host(self, context: Context, drill: Drill) -> Outcome:
        outcome = super().provision_drill_host(context, drill)
        set_host_zone(drill.host.ssh, DRILL_HOST_ZONE)
        zones = judge_zones(drill.primary.ssh, drill.host.ssh)
        return outcome.model_copy(update={"findings": [*outcome.findings, zones], "phases": []})

    def restore(self, context: Context, drill: Drill) -> Outcome:
        """Every cell: restored, recovered, looked at, and removed again for the next one."""
        cells = cast(list[Cell], drill.part("matrix"))
        ledger = cast(Moments, drill.part("moments")).ledger
        began = time.monotonic()
        findings, rows = [], []
        for number, cell in enumerate(cells, 1):
            context.say(f"cell {number} of {len(cells)}: {cell.name}")
            finding, row = prove(context, drill.host, cell, ledger)
            findings.append(finding)
            rows.append(row)
        seconds = time.monotonic() - began
        good = sum(finding.good for finding in findings)
        shown = ("cell", "target", "backup", "status", "seconds")
        return Outcome(
            summary=f"**{good} of {len(cells)} targets** were reached exactly, from both sides, "
            f"in {seconds:.0f} s ({seconds / len(cells):.1f} s each).",
            table=[{key: row[key] for key in shown} for row in rows],
            findings=findings,
            measures={"pitr_cells": rows},
        )

    def recover(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("each cell was recovered when it was restored")

    def first_write(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("the copies are looked at, not used")

    def verify(self, context: Context, drill: Drill) -> Outcome:
        """The last cell's copy is still there: its integrity."""
        outcome = super().verify(context, drill)
        return outcome.model_copy(update={"phases": []})

    def account(self, context: Context, drill: Drill) -> Outcome:
        why = "nothing was lost: the matrix proves targets, not a recovery"
        outcome = self.nothing(why)
        not_measured = {"recovery_time_seconds": why, "recovery_point_seconds": why}
        return outcome.model_copy(update={"measures": {"not_measured": not_measured}})


def make_moments(context: Context, drill: Drill, *, forked: bool) -> Moments:
    """Commits, a late one, a restore point; then a second timeline with a backup of its own."""
    began, ended, ended_at = cast(tuple[float, float, datetime], drill.part("baseline"))
    made = drill.primary
    while utc_now() < ended_at + AFTER_BACKUP + timedelta(seconds=1):
        more(context, drill, FEW, "commits after the baseline")
    late = write_late(context, drill)
    more(context, drill, FEW, "commits before the restore point")
    point = restore_point(made, POINT)
    more(context, drill, FEW, "commits after the restore point")
    backup, timeline, wal, stamps, left = (began, ended), 1, {}, {}, None
    if forked:
        store_all(context, made)
        more(context, drill, 2 * FEW, "commits that will be given up")
        stamps = commit_times(context, made)
        left, wal[1] = fork(context, drill, point)
        more(context, drill, 2 * FEW, "commits on timeline 2")
        began = time.monotonic()
        full_backup(context, made)
        backup, timeline = (began, time.monotonic()), 2
        more(context, drill, FEW, "commits after the backup on timeline 2")
    record = drill.writer.stop()
    drill.keep("record", record)
    sent = max(commit.seq for commit in record.acked) + 1  # one more may have been on its way
    in_doubt = frozenset((*record.in_doubt, sent))
    acked = tuple(sorted((*record.acked, late), key=lambda commit: commit.acked))
    ledger = Ledger(acked, wal, left, in_doubt)
    mine = [c for c in acked if ledger.timeline(c) == timeline]
    stamps |= commit_times(context, made)
    wal[timeline] = read_wal(context, made, timeline, mine[0].lsn)
    store_all(context, made)
    return Moments(ledger, stamps, point, backup, timeline, ended_at)


SCENARIO = PitrMatrix()
