"""The target's own repository, restored on a scratch host. The target is read, plus one marker."""

from concurrent.futures import Future, ThreadPoolExecutor

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill import archive_search, marker, recovering
from chronos_ops.drill.archived import wait_stored
from chronos_ops.drill.integrity import conninfo, databases, not_applicable
from chronos_ops.drill.objectives import PhaseClock
from chronos_ops.drill.scenario import Scenario
from chronos_ops.drill.state import Drill
from chronos_ops.drill.target import HAS_BACKUP, Reach, choose_backup, reach_of, unreachable
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups, wal_archive
from chronos_ops.facts.postgres import IDENTITY
from chronos_ops.facts.wal_archive import Archive
from chronos_ops.model.errors import Rule, UsageError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.timing import Achieved
from chronos_ops.model.wal import Lsn

_NOTE = "production proof"
OWN_TIMELINE = Rule(
    "drill.repository.own-timeline",
    "the archive holds no timeline but the target's own",
    "none later than the one that the target is on",
    "D4",
)
OWN_CLUSTER = Rule(
    "drill.repository.own-cluster",
    "the repository is of the target's own cluster",
    "the same system identifier",
    "D4",
)
_FIRST_WRITE = """
CREATE TABLE IF NOT EXISTS chronos_first_writes (at timestamptz DEFAULT clock_timestamp());
GRANT INSERT ON chronos_first_writes TO {role};
"""
_POOL = ThreadPoolExecutor(max_workers=1, thread_name_prefix="marker")


_TABLES = """
SELECT n.nspname || '.' || c.relname AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


class ProductionProof(Scenario):
    id = "production_proof"
    title = "the target's repository is restored on a scratch host"
    mode = "production_proof"
    subject = "nobody"

    def check_target(self, context: Context, drill: Drill, asked: RecoveryTarget) -> Outcome:
        """Held against the repository before anything is touched (D7)."""
        if asked.own:
            raise UsageError(f"scenario {self.id} has no moment of its own", asked)
        stanza = context.settings.backup.stanza
        info = context.ask(backups.info(stanza))
        if info is None or not info.of_repo(1):
            raise UsageError(
                "the target has no backup to prove",
                stanza,
                hint="run the backup runbook first",
                breaks=HAS_BACKUP,
            )
        identity = context.ask(IDENTITY)
        held = [found.system_identifier for found in info.databases if found.repo == 1]
        if held[-1] != identity.system_identifier:
            raise UsageError(
                "the repository's newest cluster is not the target's",
                f"system identifier {held[-1]}, the target has {identity.system_identifier}",
                hint="another cluster archives there, or the target was made anew: give it a "
                "stanza and a prefix of its own",
                breaks=OWN_CLUSTER,
            )
        fact = wal_archive.archive_listing(stanza, 1, identity.segment_bytes)
        archive_id = info.archive_id(1) or ""
        archive = context.ask(fact).archives.get(archive_id, Archive())
        told = context.ask(wal_archive.histories(stanza, 1, archive_id))
        reach = reach_of(info.of_repo(1), archive, told, clock=True)
        _refuse_stranger(reach, identity.timeline, asked)
        position, said = _place(context, asked, reach, archive)
        chosen = choose_backup(asked, reach, after=position)
        drill.asked = drill.target = asked
        drill.keep("position", position)
        return Outcome(
            summary=f"Recovery target {asked}{said}: backup set `{chosen.label}` of "
            f"{len(reach.backups)}, newest WAL segment {reach.newest_segment}."
        )

    def inject_fault(self, context: Context, drill: Drill) -> Outcome:
        """Nothing is struck: one marker is written, and the clock starts at the decision."""
        drill.marker = _NOTE if drill.asked.kind == "latest" else ""
        drill.keep("tables", user_tables(context.ssh) if drill.marker else None)
        drill.keep("clock", PhaseClock.now())
        drill.keep("archived", _POOL.submit(self._mark, context, drill))
        return Outcome(
            summary="Nothing is struck: production is only read"
            + (", plus one marker row." if drill.marker else ".")
            + " The clock starts with the decision to restore."
        )

    def _mark(self, context: Context, drill: Drill) -> None:
        """A marker is found again once archive_timeout has sent its segment: no switch here."""
        if not drill.marker:
            return
        marker.prepare(context.ssh)
        marker.write(context.ssh, context.run_id, drill.marker)
        segment = marker.now(context.ssh)["segment"]
        backup = context.settings.backup
        patience = backup.archive_timeout_seconds + 60.0 + marker.first_look(context.ssh)
        wait_stored(context, context.ssh, backup.stanza, segment, patience)

    def provision_drill_host(self, context: Context, drill: Drill) -> Outcome:
        outcome = recovering.make_host(context, drill, context.settings)
        archived = drill.part("archived")
        assert isinstance(archived, Future)
        began = drill.clock.now_monotonic()
        archived.result()
        waited = drill.clock.now_monotonic() - began
        drill.clock.skip()  # the drill's own wait for its marker: no recovery would have it
        measures = {**outcome.measures, "marker_wait_seconds": round(waited, 3)}
        return outcome.model_copy(update={"measures": measures})

    def restore(self, context: Context, drill: Drill) -> Outcome:
        position = drill.part("position", "check-target")
        assert position is None or isinstance(position, Lsn)
        return recovering.restore_files(context, drill, after=position)

    def recover(self, context: Context, drill: Drill) -> Outcome:
        return recovering.replay(context, drill)

    def first_write(self, context: Context, drill: Drill) -> Outcome:
        ssh, settings = drill.host.ssh, context.settings
        marker.prepare(ssh)
        role = settings.postgres.operator_role
        ssh.sql(_FIRST_WRITE.format(role=role), marker.DATABASE)
        sql = "INSERT INTO chronos_first_writes DEFAULT VALUES"
        return recovering.write_first(context, drill, marker.DATABASE, sql)

    def verify(self, context: Context, drill: Drill) -> Outcome:
        own = context.settings.drill
        checks = recovering.integrity_checks(
            context, drill, own.application_database, own.application_query
        )
        checks["tables"] = lambda: [judge_tables(drill.part("tables"), user_tables(drill.host.ssh))]
        checks["marker"] = lambda: [self._found(context, drill)]
        findings, phase = recovering.verified(drill, recovering.run_checks(checks))
        good = sum(f.good for f in findings)
        return Outcome(
            summary=f"{good} of {len(findings)} checks passed in {phase.seconds:.1f} s.",
            findings=findings,
            phases=[phase],
        )

    def _found(self, context: Context, drill: Drill) -> Finding:
        identifier, title = "drill.proof.marker", "production's marker is in the restored copy"
        if not drill.marker:
            return not_applicable(identifier, title, "restored to a moment in the past")
        there = marker.notes(drill.host.ssh, context.run_id)
        return judge(
            identifier,
            title,
            passed=drill.marker in there,
            observed=", ".join(there) or "no marker of this run",
            expected=drill.marker,
            hint="recovery ended before it: is a WAL segment missing in the archive?",
            requirement="D3",
        )

    def account(self, context: Context, drill: Drill) -> Outcome:
        ends = drill.clock.ends
        total = max(ends.values())
        identity = context.ask(IDENTITY)
        why = "the target lives: no commit was lost, so none can be counted"
        return Outcome(
            summary=f"Production is restored and proven in {total:.1f} s, without detection. "
            f"The target went on meanwhile (LSN {identity.lsn}). Recovery point: {why}.",
            achieved=Achieved(
                recovery_time_seconds=max(ends["first_write"], ends["verify"]),
                first_write_seconds=ends["first_write"],
                verified_seconds=ends["verify"],
            ),
            measures={"not_measured": {"recovery_point_seconds": why}},
        )


def _refuse_stranger(reach: Reach, timeline: int, asked: RecoveryTarget) -> None:
    """Recovery follows the latest timeline in the archive, whoever wrote it there."""
    if reach.timeline > timeline and asked.timeline in ("", "latest"):
        raise UsageError(
            f"the archive holds timeline {reach.timeline}, the target is on {timeline}",
            hint="a promoted copy has archived into this repository, and recovery would follow it: "
            f"name the timeline (`… timeline:{timeline}`)",
            breaks=OWN_TIMELINE,
        )


def _place(
    context: Context, asked: RecoveryTarget, reach: Reach, archive: Archive
) -> tuple[Lsn | None, str]:
    """Where a transaction or a restore point lies in the archive, and words for it.

    Raises UsageError where the archive was read whole and does not hold it.
    """
    if asked.kind not in ("xid", "name"):
        return None, ""
    if asked.kind == "xid":
        archive_search.refuse_future(context.ssh, asked)
    first = min((b.wal_start[8:] for b in reach.backups), default="")
    wanted = [s for s in archive.segments if str(s)[8:] >= first]
    found = archive_search.seek(context, context.ssh, asked, wanted)
    if found.lsn is not None:
        return found.lsn, f" (at {found.lsn})"
    if found.whole:
        why = f"it is in none of the {found.segments} archived WAL segments"
        raise unreachable(asked, f"{why} since the first backup")
    why = f"not in the newest {found.segments} of {len(wanted)} archived segments"
    return None, f" ({why}: the replay from the oldest backup will tell)"


def user_tables(ssh: Ssh) -> frozenset[str]:
    """Every table of every database, the marker's own aside: `database: schema.table`."""
    found: set[str] = set()
    for name in databases(ssh):
        if name != marker.DATABASE:
            rows = ssh.sql_rows(_TABLES, conninfo(name))
            found |= {f"{name}: {row['name']}" for row in rows}
    return frozenset(found)


def judge_tables(before: object, there: frozenset[str]) -> Finding:
    """Each table that production had when the clock started is in the copy (failure 15)."""
    identifier, title = "drill.proof.tables", "every table of production is in the restored copy"
    if not isinstance(before, frozenset):
        return not_applicable(identifier, title, "restored to a moment in the past")
    if not before:
        return not_applicable(identifier, title, "production has no table of its own yet")
    missing = sorted(before - there)
    return judge(
        identifier,
        title,
        passed=not missing,
        observed=f"missing: {', '.join(missing[:5])}" if missing else f"{len(before)} tables",
        expected=f"all {len(before)}",
        hint="the copy is older than it should be, or of another cluster: do not trust it",
        requirement="D5",
    )


SCENARIO = ProductionProof()
