"""Restore and recovery on a drill host (D4): files back, WAL replayed, promoted. Never elsewhere.

The host is made by this run, closed to all but the operators before data is copied, holds a key
that can only read, archives nowhere, replicates nothing, schedules nothing.
"""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill import firewall, locales, repository, restored_config, stops
from chronos_ops.drill.guards import require_no_cluster, require_own_host
from chronos_ops.drill.hosts import install_log, new_host
from chronos_ops.drill.install import install, install_extensions
from chronos_ops.drill.reader import as_reader, check_read_only, make_reader
from chronos_ops.drill.target import Reach, choose_backup
from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import Provisioned
from chronos_ops.facts.backups import BackupSet, StanzaInfo, tablespaces
from chronos_ops.facts.source import read_source
from chronos_ops.model.errors import CommandFailed, Refused, UnreadableAnswer
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.question import ShellAnswer
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.settings import Settings
from chronos_ops.model.wal import Lsn
from chronos_ops.plans.packages import extension_packages

RECOVERY_SECONDS = 3600.0
_CLUSTER = "main"
_LACKS_LOCALE = 4
# One command on the host: start or restart, then ask until recovery is over or the server gave up.
_RECOVER = r"""
export PGPORT=$3
pg_ctlcluster --skip-systemctl-redirect "$1" "$2" "$4" || exit 1
while :; do
    state=$(psql -XAtqc "$5" 2>&1) || :
    case $state in
        'f|') exit 0 ;;
        't|t') echo 'recovery is paused'; exit 5 ;;
        *'locale is incompatible'*) printf '%s\n' "$state"; exit 4 ;;
    esac
    pg_ctlcluster --skip-systemctl-redirect "$1" "$2" status >/dev/null || exit 3
    sleep 0.05
done
"""
# Paused: this is never asked for, so it waits for a setting that this host has too small.
_STATE = "SELECT r, CASE WHEN r THEN pg_is_wal_replay_paused() END FROM pg_is_in_recovery() r"
_LOG_TIME = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] LOG: +(.*)$")


@dataclass(frozen=True)
class DrillHost:
    """A host with PostgreSQL and pgBackRest on it, and no cluster yet."""

    provisioned: Provisioned
    ssh: Ssh
    settings: Settings  # of the repository, with the reader's key
    major: str
    repository_system_id: str = ""
    reach: Reach = field(default_factory=lambda: Reach(()))
    installed: bool = True  # packages had to be installed
    findings: tuple[Finding, ...] = ()  # what was seen of it before any data were there

    @property
    def data_directory(self) -> str:
        return f"/var/lib/postgresql/{self.major}/{_CLUSTER}"

    @property
    def config_directory(self) -> str:
        return f"/etc/postgresql/{self.major}/{_CLUSTER}"

    @property
    def bin_dir(self) -> str:
        return f"/usr/lib/postgresql/{self.major}/bin"

    @property
    def server_log(self) -> str:
        return f"/var/log/postgresql/postgresql-{self.major}-{_CLUSTER}.log"


@dataclass(frozen=True)
class Recovery:
    """How recovery went, from the server's own log. Seconds between lines of that log."""

    seconds: float  # start to end of recovery, as seen from here
    promote_seconds: float  # of those: after the last record was replayed
    redo_end: str  # LSN
    wal_bytes: int | None  # from where redo began to where it ended; None: the log lacks it
    last_commit_at: str  # the server's stamp of the last replayed transaction, UTC
    log: str


def provision_drill_host(
    context: Context, settings: Settings, role: str, *, database: int = 0
) -> DrillHost:
    """A host that can reach the repository of `settings`, and no more.

    `database`: of an older cluster in it, by pgBackRest's id. Raises what provisioning, apt or S3
    raise.
    """
    return reach_repository(context, make_drill_host(context, settings, role), database=database)


def make_drill_host(context: Context, settings: Settings, role: str) -> DrillHost:
    """A host without a database, closed, with the packages.

    The reader's key is made while it boots.
    """
    reading = as_reader(settings, context.own_name)
    repository_context = replace(context, settings=settings)
    with ThreadPoolExecutor(max_workers=2) as pool:
        reader = pool.submit(make_reader, repository_context)
        provisioned = new_host(context, role)
        ssh = context.host(provisioned.ssh_address(settings.postgres.port))
        firewall.close(ssh, settings.postgres.operator_networks, settings.postgres.port)
        seen = pool.submit(firewall.check_closed, provisioned.address, ssh.address.port)
        log = install_log(context, provisioned)
        found = install(context, ssh, settings, log, with_cluster=False)
        reader.result()
    return DrillHost(
        provisioned,
        ssh,
        reading,
        found.major,
        installed=found.anything,
        findings=(seen.result(),),
    )


def reach_repository(context: Context, host: DrillHost, *, database: int = 0) -> DrillHost:
    """What the repository holds; PostgreSQL of its version is installed if another is here."""
    repository.configure(context, host.ssh, host.settings, host.data_directory)
    stanza = host.settings.backup.stanza
    info = repository.look(context, host.ssh, stanza)
    current = [db for db in info.databases if db.repo == 1 and database in (0, db.id)][-1]
    if current.version != host.major:
        found = install(
            context,
            host.ssh,
            host.settings,
            install_log(context, host.provisioned),
            with_cluster=False,
            major=current.version,
        )
        host = replace(host, major=found.major, installed=host.installed or found.anything)
        repository.configure(context, host.ssh, host.settings, host.data_directory)
    packages = extension_packages(host.settings, int(host.major), _preloaded(info, current.id))
    log = install_log(context, host.provisioned)
    if install_extensions(context, host.ssh, packages, log):
        host = replace(host, installed=True)
    return replace(
        host,
        repository_system_id=current.system_identifier,
        findings=(*host.findings, check_read_only(host.ssh, stanza)),
        reach=repository.reach(context, host.ssh, stanza, info, current.id),
    )


def _preloaded(info: StanzaInfo, database: int) -> set[str]:
    """Libraries that a cluster preloaded when any of its sets was made, as far as it is known."""
    found: set[str] = set()
    for backup in info.of_repo(1):
        if backup.database_id == database and backup.source:
            with suppress(UnreadableAnswer):  # the look at the chosen set names it
                found |= set(read_source(backup.source).preloaded)
    return found


def restore(
    context: Context, host: DrillHost, target: RecoveryTarget, *, after: Lsn | None = None
) -> BackupSet:
    """Copy the files of the right backup set back and supply the configuration.

    `after`: see `choose_backup`. Raises Refused or UsageError before anything is touched.
    """
    chosen = choose_backup(target, host.reach, after=after)
    require_own_host(context, host.provisioned)
    for finding in host.findings:
        if finding.status is Status.FAIL:
            raise Refused(
                f"no data go to {host.provisioned.name}: {finding.title}", finding.observed
            )
    require_no_cluster(host.ssh, host.data_directory, host.bin_dir, host.repository_system_id)
    argv = [
        "pgbackrest",
        f"--stanza={host.settings.backup.stanza}",
        f"--set={chosen.label}",
        "--archive-mode=off",
        "--log-level-console=info",
        *target.options(),
        "restore",
    ]
    log = context.logs / "restore.log"
    outside = context.ask(tablespaces(host.settings.backup.stanza, 1, chosen.label), host.ssh)
    made = ["install", "-d", "-o", "postgres", "-g", "postgres", "-m", "0700"]
    host.ssh.run([*made, host.data_directory, *outside], sudo=True)
    try:
        host.ssh.run(argv, user="postgres", timeout=6 * 3600, log=log)
    except CommandFailed as error:
        raise stops.restore_stopped(error) from None
    _supply_configuration(host)
    return chosen


def _supply_configuration(host: DrillHost) -> None:
    ssh, settings = host.ssh, host.settings
    argv = [f"{host.bin_dir}/pg_controldata", "-D", host.data_directory]
    sized = restored_config.sizes(ssh.run(argv, user="postgres").stdout)
    etc = host.config_directory
    pid_file = f"/var/run/postgresql/{host.major}-{_CLUSTER}.pid"
    networks = settings.postgres.operator_networks
    files = {
        "postgresql.conf": restored_config.base(host.data_directory, etc, pid_file),
        "pg_hba.conf": restored_config.host_based(networks),
        "pg_ident.conf": "",
        "start.conf": "manual\n",
    }
    for name, text in files.items():
        mode = "0644" if name == "start.conf" else "0640"
        ssh.put(f"{etc}/{name}", text, owner="postgres", group="postgres", mode=mode)
    ssh.run(["chown", "postgres:postgres", etc], sudo=True)
    paths = {
        "data_directory": host.data_directory,
        "hba_file": f"{etc}/pg_hba.conf",
        "ident_file": f"{etc}/pg_ident.conf",
        "external_pid_file": pid_file,
    }
    lines = restored_config.safe(settings, int(host.major), sized, paths)
    append = ["sh", "-c", 'cat >> "$1"', "append", f"{host.data_directory}/postgresql.auto.conf"]
    ssh.run(append, user="postgres", stdin=lines)


def recover(context: Context, host: DrillHost, target: RecoveryTarget) -> Recovery:
    """Start, replay WAL up to the target, promote. Raises ChronosError with the server's words."""
    started = time.monotonic()
    answer = _until_promoted(host, "start")
    if answer.exit_code == _LACKS_LOCALE:
        locales.make(host.ssh, locales.complained_about(answer.stdout))
        answer = _until_promoted(host, "restart")
    if answer.exit_code == 0:
        locales.ensure(host.ssh)
    seconds = time.monotonic() - started
    log = host.ssh.run(["cat", host.server_log], sudo=True).stdout
    (context.logs / "recovery.log").write_text(log, encoding="utf-8")
    if answer.exit_code != 0:
        raise stops.recovery_stopped(
            target, answer.exit_code, f"{log}\n{answer.stdout}{answer.stderr}"
        )
    return read_recovery(log, seconds)


def _until_promoted(host: DrillHost, action: str) -> ShellAnswer:
    """Start or restart, and wait for the end of recovery; any exit code is an answer."""
    argv = ["timeout", f"{RECOVERY_SECONDS:.0f}", "sh", "-c", _RECOVER, "recover"]
    return host.ssh.run(
        [*argv, host.major, _CLUSTER, str(host.settings.postgres.port), action, _STATE],
        user="postgres",
        accept=range(256),
        timeout=RECOVERY_SECONDS + 30,
    )


def read_recovery(log: str, seconds: float) -> Recovery:
    """What the server's log tells of a recovery that ended well. Raises Refused without proof."""
    moments: dict[str, datetime] = {}
    redo_start = redo_end = last_commit = ""
    for line in log.splitlines():
        match = _LOG_TIME.match(line)
        if match is None:
            continue
        at, words = datetime.fromisoformat(match[1] + "+00:00"), match[2]
        for key in ("redo done at", "database system is ready to accept connections"):
            if words.startswith(key):
                moments[key] = at
        if found := re.match(r"redo starts at ([0-9A-F]+/[0-9A-F]+)", words):
            redo_start = found[1]
        if found := re.match(r"redo done at ([0-9A-F]+/[0-9A-F]+)", words):
            redo_end = found[1]
        if found := re.match(r"last completed transaction was at log time (.+)$", words):
            last_commit = found[1]
    if len(moments) < 2:
        raise Refused("the server's log tells of no recovery", log[-500:])
    promote = (moments["database system is ready to accept connections"]
               - moments["redo done at"]).total_seconds()  # fmt: skip
    promote = min(max(promote, 0.0), seconds)
    known = redo_start and redo_end
    replayed = Lsn.parse(redo_end) - Lsn.parse(redo_start) if known else None
    return Recovery(seconds, promote, redo_end, replayed, last_commit, log)
