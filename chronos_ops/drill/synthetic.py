"""Scenarios on a primary that the run makes to lose it (D3, synthetic mode)."""

import random
import time
from typing import ClassVar, cast

from chronos_ops.connectors.postgres import PgAddress
from chronos_ops.drill import catalog, integrity, primary, recovering, sample
from chronos_ops.drill.accounting import (
    earlier_points,
    hold_against_record,
    independent_count,
)
from chronos_ops.drill.archived import switch_segment, wait_stored
from chronos_ops.drill.objectives import (
    Loss,
    achieved,
    arithmetic,
    around_fault,
    judge_gap_free,
    judge_objectives,
    ranges,
    recovery_point_bound,
)
from chronos_ops.drill.probe import Probe
from chronos_ops.drill.scenario import Mode, Scenario
from chronos_ops.drill.state import Drill
from chronos_ops.drill.workload import Task, Writer
from chronos_ops.execution.context import Context
from chronos_ops.facts import s3
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters.disaster_recovery import DisasterRecovery
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.timing import Objectives

PROBE_SECONDS = 180.0
_FIRST_COMMITS = 5


def parameters(context: Context) -> DisasterRecovery:
    """The drill's own parameters."""
    return cast(DisasterRecovery, context.parameters)


def objectives(context: Context) -> Objectives:
    """The run's own, else the target's."""
    own, declared = parameters(context), context.settings.objectives
    return Objectives(
        recovery_time_seconds=own.objective_recovery_time_seconds or declared.recovery_time_seconds,
        recovery_point_seconds=own.objective_recovery_point_seconds
        or declared.recovery_point_seconds,
    )


class Synthetic(Scenario):
    """Makes a primary, backs it up, writes to it from outside. Subclasses strike it."""

    mode: ClassVar[Mode] = "synthetic"
    probe_sql: ClassVar[str] = "SELECT 1"
    probe_database: ClassVar[str] = sample.DATABASE

    def check_target(self, context: Context, drill: Drill, asked: RecoveryTarget) -> Outcome:
        """A primary that does not exist yet has no moments to name."""
        if asked.kind != "latest" and not asked.own:
            raise UsageError(
                "this recovery target cannot be reached",
                f"{asked}: before the first backup of a primary that the run is yet to make",
                hint="give the kind alone (`time:`, `lsn:`, `xid:`, `name:`) for the moment "
                "just before the fault, or scenario production_proof",
            )
        if asked.timeline:
            raise UsageError(
                "a primary that the run is yet to make has one timeline",
                f"asked for {asked}",
                hint="leave the timeline out, or choose scenario pitr_matrix",
            )
        if asked.own and not self.point_in_time:
            raise UsageError(
                f"scenario {self.id} recovers to the latest commit", f"asked for {asked}"
            )
        bucket = context.settings.backup.bucket
        if context.ask(s3.location(bucket)) is None:
            raise UsageError(
                "the target's backup bucket does not exist",
                bucket,
                hint="run pgbackrest_backup_restore on this target first",
            )
        drill.asked = asked
        where = f"just before the fault, by {asked.kind}" if asked.own else self.default_target()
        return Outcome(summary=f"Scenario **{self.title}**; recovery target: {where}.")

    def default_target(self) -> str:
        return "the latest commit in the repository"

    # -- before the fault

    def provision_primary(self, context: Context, drill: Drill) -> Outcome:
        made = primary.provision_primary(context)
        drill.keep("primary", made)
        host = made.provisioned
        return Outcome(
            summary=f"`{host.name}` runs PostgreSQL {made.major}, "
            f"system identifier {made.identity.system_identifier}, page checksums "
            f"{'on' if made.identity.data_checksums else 'off'}. It will be lost.",
        )

    def set_up_backups(self, context: Context, drill: Drill) -> Outcome:
        made = drill.primary
        done = primary.set_up(context, made, parameters(context).sample_megabytes)
        backup = made.settings.backup
        return Outcome(
            summary=f"Stanza `{backup.stanza}` below `{backup.bucket}{backup.prefix}`, passphrase "
            "and keys of its own; sample data loaded.",
            table=[{"change": change} for change in done],
        )

    def start_writer(self, context: Context, drill: Drill) -> Outcome:
        """Writer and probe start, and go on through the backup."""
        made, wanted = drill.primary, parameters(context)
        password = made.password(context)
        task = Task(
            made.address(timeout=2),
            str(context.logs / "acknowledged_commits.jsonl"),
            wanted.commits_per_second,
            password=password,
        )
        drill.keep("writer", Writer(task, context.logs / "writer.log"))
        drill.keep("probe", Probe(self._probe_address(drill), password, self.probe_sql))
        with context.journal.interval("wait", "the first acknowledged commits"):
            drill.writer.wait_for(_FIRST_COMMITS, timeout=wanted.patience(_FIRST_COMMITS))
        drill.probe.start()
        rate = wanted.commits_per_second
        speed = f"{rate:g} rows a second" if rate else "as fast as it can"
        return Outcome(
            summary=f"A writer outside commits {speed}, one row a commit; a probe outside asks "
            "once a second.",
        )

    def baseline_backup(self, context: Context, drill: Drill) -> Outcome:
        """The backup; then the archive window begins, and the quiet data get their digests."""
        ssh = drill.primary.ssh
        began = time.monotonic()
        primary.full_backup(context, drill.primary)
        seconds = time.monotonic() - began
        segment = new_window(context, drill)
        stanza = drill.primary.settings.backup.stanza
        drill.push_seconds = wait_stored(context, ssh, stanza, segment)
        drill.digests_before = integrity.read_all(ssh)
        drill.catalog_before = catalog.read_catalog(ssh, drill.primary.bin_dir)
        drill.rows_before = ssh.sql_rows(sample.application_query(), sample.DATABASE)
        tables = sum(len(d.tables) for d in drill.digests_before.values())
        return Outcome(
            summary=f"Full backup in {seconds:.1f} s, under the writer's load. A WAL segment was "
            f"seen in the repository {drill.push_seconds:.2f} s after it was closed. {tables} "
            "quiet tables have their digests.",
            measures={"push_seconds": drill.push_seconds},
        )

    def _probe_address(self, drill: Drill) -> PgAddress:
        return drill.primary.address(self.probe_database, timeout=2)

    # -- the way back

    def detect(self, context: Context, drill: Drill) -> Outcome:
        wanted = parameters(context).probe_failures
        with context.journal.interval("wait", "the outside probe"):
            look = drill.probe.wait_down(wanted, drill.struck.began, PROBE_SECONDS)
        phase = drill.clock.close("detect", look.at)
        drill.probe.stop()
        return Outcome(
            summary=f"The outside probe failed {wanted} times in a row, "
            f"{phase.seconds:.1f} s after the fault: {look.said}",
            phases=[phase],
        )

    def provision_drill_host(self, context: Context, drill: Drill) -> Outcome:
        return recovering.make_host(context, drill, drill.primary.settings)

    def restore(self, context: Context, drill: Drill) -> Outcome:
        return recovering.restore_files(context, drill)

    def recover(self, context: Context, drill: Drill) -> Outcome:
        return recovering.replay(context, drill)

    def first_write(self, context: Context, drill: Drill) -> Outcome:
        sql = "INSERT INTO chronos_drill.first_writes DEFAULT VALUES"
        return recovering.write_first(context, drill, sample.DATABASE, sql)

    def verify(self, context: Context, drill: Drill) -> Outcome:
        checks = recovering.integrity_checks(
            context,
            drill,
            sample.DATABASE,
            sample.application_query(),
            moving=(sample.COMMITS, "chronos_drill.first_writes"),
        )
        checks |= self.own_checks(drill)
        findings, phase = recovering.verified(drill, recovering.run_checks(checks))
        good = sum(f.good for f in findings)
        return Outcome(
            summary=f"{good} of {len(findings)} checks passed in {phase.seconds:.1f} s.",
            findings=findings,
            phases=[phase],
        )

    def own_checks(self, drill: Drill) -> dict[str, recovering.Check]:
        """More checks of a scenario."""
        return {}

    # -- what was lost

    def account(self, context: Context, drill: Drill) -> Outcome:
        loss = hold_against_record(context, drill, self.promised_until(drill))
        found = achieved(drill.clock, loss, pitr=self.point_in_time)
        wanted = objectives(context)
        earlier = earlier_points(context, self.id)
        bound = recovery_point_bound(context.settings, drill.push_seconds)
        findings = [independent_count(drill, loss), judge_gap_free(drill.record, loss)]
        findings += self.sides(drill, loss)
        findings += judge_objectives(found, wanted, None if self.point_in_time else bound)
        measures = {
            "commits": around_fault(drill.record, drill.recovered, drill.struck.began),
            "recovery_point_bound_seconds": round(bound, 3),
            "lost_ranges": ranges(c.seq for c in loss.lost),
            "promised_commits": loss.promised,
            "in_doubt": len(drill.record.in_doubt),
            "in_doubt_recovered": len(loss.unasked),
            "fault_offset_seconds": round(drill.struck.began - drill.window_began, 3),
        }
        return Outcome(
            summary=self.summary(drill, loss),
            table=arithmetic(context.settings, wanted, found, drill.push_seconds, earlier),
            findings=findings,
            achieved=found,
            measures=measures,
        )

    def promised_until(self, drill: Drill) -> float | None:
        """The moment up to which every acknowledged commit must be back; None: all of them."""
        return None

    def sides(self, drill: Drill, loss: Loss) -> list[Finding]:
        """PITR: what must be there and what must not."""
        return []

    def summary(self, drill: Drill, loss: Loss) -> str:
        point = "not measured" if loss.seconds is None else f"{loss.seconds:.1f} s"
        lost = ranges(c.seq for c in loss.lost)
        return (
            f"{loss.promised} commits were acknowledged before the fault, {loss.recovered} came "
            f"back, **{len(loss.lost)} are lost** (sequence numbers {lost}): "
            f"achieved recovery point {point}. {len(drill.record.in_doubt)} were in doubt, "
            f"{len(loss.unasked)} of those came back."
        )


def new_window(context: Context, drill: Drill) -> str:
    """An archive window begins: this segment is closed, the next one is open."""
    segment = switch_segment(drill.primary.ssh)
    drill.window_began = time.monotonic()
    context.journal.note("archive window", begins_after=segment)
    return segment


def random_offset(context: Context) -> float:
    """Where in the archive window the fault strikes: drawn, or given; recorded either way."""
    given = parameters(context).fault_offset_seconds
    window = context.settings.backup.archive_timeout_seconds
    offset = given if given >= 0 else random.SystemRandom().uniform(0, window)
    context.journal.note("fault offset", seconds=offset, window=window, drawn=given < 0)
    return offset


def wait_for_offset(context: Context, drill: Drill, offset: float) -> None:
    """Until `offset` seconds after a segment switch; a new window if this one is past it."""
    if time.monotonic() - drill.window_began > offset:
        new_window(context, drill)
    with context.journal.interval("wait", "fault offset"):
        while (left := drill.window_began + offset - time.monotonic()) > 0:
            context.say(f"the fault strikes in {left:.0f} s")
            time.sleep(min(left, 1.0))
