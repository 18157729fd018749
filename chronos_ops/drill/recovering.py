"""The way back, the same in every scenario: drill host, restore, recovery, first write, proof."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from chronos_ops.connectors.postgres import Postgres
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill import catalog, integrity, pages
from chronos_ops.drill.constraints import check_constraints
from chronos_ops.drill.prepared import check_prepared
from chronos_ops.drill.primary import operator_password, outside
from chronos_ops.drill.restore import DrillHost, provision_drill_host, recover, restore
from chronos_ops.drill.state import Drill
from chronos_ops.drill.stops import judge_archive_read
from chronos_ops.execution.context import Context
from chronos_ops.facts.postgres import IDENTITY, Identity
from chronos_ops.facts.system import CORES
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.settings import Settings
from chronos_ops.model.timing import Phase
from chronos_ops.model.wal import Lsn, WalSegment

_HARMLESS = """
SELECT current_setting('archive_mode') AS archive_mode,
       current_setting('max_logical_replication_workers') AS logical_workers,
       current_setting('primary_conninfo') AS primary_conninfo,
       current_setting('shared_preload_libraries') AS preloaded,
       (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type ~* '(logical|cron|timescale|scheduler)'
          AND backend_type <> 'logical replication launcher') AS schedulers
"""
_WRITING = "SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS segment"
# This project's own timers, pgBackRest's of another hand, and cron jobs: none may run here.
_TIMERS = r"""
{ systemctl list-timers --all --no-legend
  cat /etc/crontab /etc/cron.d/* /var/spool/cron/crontabs/* 2>/dev/null
} | grep -v '^ *#' | grep -c -i -E 'pgbackrest|chronos-backup' || :
"""


def make_host(context: Context, drill: Drill, settings: Settings, database: int = 0) -> Outcome:
    """A host with what a restore needs, and closed to all but the operators."""
    host = provision_drill_host(context, settings, "restored", database=database)
    drill.keep("host", host)
    phase = drill.clock.close("provision")
    made = host.provisioned
    kind = "" if context.settings.drill.from_snapshot else "the bare image "
    packages = "installed from the release's mirror" if host.installed else "there already"
    source = f"from {kind}{made.source}, packages {packages}"
    return Outcome(
        summary=f"`{made.name}` ({made.bundle}, {made.zone}) {source}, in {phase.seconds:.1f} s. "
        f"PostgreSQL {host.major}; the repository holds "
        f"{len(host.reach.backups)} backup sets, newest WAL segment {host.reach.newest_segment}.",
        phases=[phase],
        findings=list(host.findings),
        measures={
            "provision_source": source,
            "provision_bundle": made.bundle,
            "machine_id": made.machine_id,
        },
    )


def restore_files(context: Context, drill: Drill, after: Lsn | None = None) -> Outcome:
    """Copy the files of the backup set back, and supply the configuration."""
    backup = restore(context, drill.host, drill.target, after=after)
    drill.keep("backup", backup)
    phase = drill.clock.close("restore")
    rate = backup.size / max(phase.seconds, 0.001) / 1e6
    return Outcome(
        summary=f"Backup set `{backup.label}` ({backup.size / 1e6:.0f} MB) restored in "
        f"{phase.seconds:.1f} s ({rate:.0f} MB/s); recovery target: {drill.target}.",
        phases=[phase],
        measures={"restored_bytes": backup.size, "backup_set": backup.label},
    )


def replay(context: Context, drill: Drill) -> Outcome:
    """Start, replay WAL, promote; judged by the server itself."""
    recovery = recover(context, drill.host, drill.target)
    drill.keep("recovery", recovery)
    clock = drill.clock
    now = clock.now_monotonic()
    phases = [clock.close("recovery", now - recovery.promote_seconds), clock.close("promote", now)]
    here = context.ask(IDENTITY, drill.host.ssh)
    writing = WalSegment.parse(str(drill.host.ssh.sql_rows(_WRITING)[0]["segment"])).timeline
    findings = [
        judge_promoted(here, writing, drill.host),
        judge_reached(drill.target, recovery.log),
        judge_archive_read(recovery.log),
        *harmless(drill.host.ssh),
    ]
    last = recovery.last_commit_at or "none after the backup"
    return Outcome(
        summary=f"WAL replayed to {recovery.redo_end or 'the end of the backup'} "
        f"(last commit: {last}), promoted.",
        phases=phases,
        findings=findings,
        measures={"replayed_wal_bytes": recovery.wal_bytes},
        text=_tail(recovery.log),
    )


def judge_promoted(here: Identity, writing: int, host: DrillHost) -> Finding:
    """The repository's cluster; `writing`: the timeline that it writes on now."""
    before = host.reach.timeline
    return judge(
        "drill.recovery.promoted",
        "the restored cluster is the same one, promoted on a new timeline",
        passed=not here.in_recovery
        and here.system_identifier == host.repository_system_id
        and writing > before > 0,
        observed=f"in recovery: {here.in_recovery}, system identifier {here.system_identifier}, "
        f"writes on timeline {writing}",
        expected=f"not in recovery, {host.repository_system_id}, a later timeline than the "
        f"archive's {before or '(none)'}",
        hint="the copy is of another cluster, or was not promoted: do not use it",
        requirement="D4",
    )


def judge_reached(target: RecoveryTarget, log: str) -> Finding:
    """The server says itself where it stopped; WAL that merely ended says nothing of the kind."""
    identifier, title = "drill.recovery.target-reached", "recovery stopped at its target"
    if target.kind == "latest":
        why = "the latest commit: the end of the archived WAL"
        return integrity.not_applicable(identifier, title, why)
    stops = re.findall(r"LOG: +(recovery stopping .*)$", log, re.MULTILINE)
    return judge(
        identifier,
        title,
        passed=bool(stops),
        observed=stops[-1] if stops else "no word of it in the server's log",
        expected=f"recovery stopping before or after {target}",
        hint="the WAL ended before the target: name an earlier one",
        requirement="D7",
    )


def harmless(ssh: Ssh) -> list[Finding]:
    """The restored copy archives nowhere, replicates and schedules nothing (D4, failures 12)."""
    row = ssh.sql_rows(_HARMLESS)[0]
    timers = ssh.run(["sh", "-c", _TIMERS], sudo=True).stdout.strip()
    seen = {**row, "backup timers": timers}
    return [
        judge(
            "drill.host.harmless",
            "the restored copy archives nowhere, replicates nothing, schedules nothing",
            passed=row["archive_mode"] == "off"
            and row["logical_workers"] == "0"
            and not row["primary_conninfo"]
            and row["schedulers"] == 0
            and timers == "0",
            observed=", ".join(f"{name}: {value or 'none'}" for name, value in seen.items()),
            expected="archive_mode off, 0 logical workers, no primary, 0 schedulers, 0 timers",
            hint="stop this host now: it may write into the live repository",
            requirement="D4",
        )
    ]


def write_first(context: Context, drill: Drill, database: str, sql: str) -> Outcome:
    """A commit from outside, over TLS, as an application."""
    settings = drill.host.settings
    address = outside(drill.host.provisioned.address, settings, database)
    postgres = Postgres(address, operator_password(context, settings), context.journal)
    try:
        postgres.execute(sql)
    finally:
        postgres.close()
    phase = drill.clock.close("first_write")
    return Outcome(
        summary=f"The first write from outside was committed {drill.clock.elapsed:.1f} s after "
        "the fault.",
        phases=[phase],
    )


Check = Callable[[], list[Finding]]


def run_checks(checks: dict[str, Check]) -> list[Finding]:
    """All checks at once; one that breaks is a finding with status error, never a pass."""

    def guarded(item: tuple[str, Check]) -> list[Finding]:
        name, check = item
        try:
            return check()
        except ChronosError as error:
            return [integrity.broken(f"drill.integrity.{name}", f"check {name}", error)]

    with ThreadPoolExecutor(max_workers=4) as pool:
        return [finding for found in pool.map(guarded, checks.items()) for finding in found]


def integrity_checks(
    context: Context, drill: Drill, database: str, query: str, moving: tuple[str, ...] = ()
) -> dict[str, Check]:
    """What is proven of every restored database (D5)."""
    host = drill.host

    def rows() -> list[Finding]:
        found = drill.digests_after = integrity.read_all(host.ssh)
        findings = [
            integrity.judge_rows_read(found),
            integrity.judge_sequences(found, drill.digests_before),
            integrity.judge_unlogged(found),
        ]
        if drill.digests_before:
            findings.append(integrity.judge_digests(drill.digests_before, found, moving=moving))
        return findings

    def amcheck() -> list[Finding]:
        jobs = context.ask(CORES, host.ssh)
        return [integrity.check_amcheck(host.ssh, host.bin_dir, jobs)]

    def application() -> list[Finding]:
        return [integrity.check_application(host.ssh, database, query, drill.rows_before)]

    def objects() -> list[Finding]:
        if not drill.catalog_before:
            return []  # of a live source nobody can say what it was at that moment
        found = catalog.read_catalog(host.ssh, host.bin_dir)
        return [catalog.judge_catalog(drill.catalog_before, found)]

    return {
        "rows-read": rows,
        "amcheck": amcheck,
        "pages-read": lambda: [pages.check_pages(host.ssh)],
        "application": application,
        "extensions": lambda: [integrity.check_extensions(host.ssh)],
        "collations": lambda: [integrity.check_collations(host.ssh)],
        "catalog": objects,
        "indexes": lambda: [catalog.check_indexes(host.ssh)],
        "constraints": lambda: [check_constraints(host.ssh)],
        "prepared-transactions": lambda: [check_prepared(host.ssh)],
    }


def verified(drill: Drill, findings: list[Finding]) -> tuple[list[Finding], Phase]:
    """Page checksums last (everything has been read now), then the phase is over."""
    findings = [*findings, pages.check_page_checksums(drill.host.ssh)]
    return findings, drill.clock.close("verify")


def _tail(log: str, lines: int = 12) -> str:
    return "\n".join(log.strip().splitlines()[-lines:])
