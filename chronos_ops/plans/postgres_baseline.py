"""PostgreSQL's baseline: what it logs, pgaudit, the schema public; page checksums apart (H7)."""

from typing import Any

from chronos_ops.facts import packages, postgres
from chronos_ops.facts.audit import Readings, batch
from chronos_ops.facts.audit_host import readings
from chronos_ops.facts.audit_system import FileMode
from chronos_ops.facts.backups import info
from chronos_ops.facts.postgres import Cluster, Setting
from chronos_ops.facts.postgres_files import CONFIG_FILES, ConfigFiles
from chronos_ops.model.errors import UnfitTarget
from chronos_ops.model.plan import Change, Deed, Effect, Plan, RunCommand, RunSql
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.controls.postgres_logging import ERROR_LEVELS, WARNING_LEVELS, prefix_lacks
from chronos_ops.plans.drop_in import (
    Wanted,
    drop_in_change,
    overriding,
    restart_refusals,
)
from chronos_ops.plans.postgres_log import PREFIX

NAME = "postgres-baseline"
LOG_FILE, AUDIT_FILE = "83-chronos-logging.conf", "84-chronos-pgaudit.conf"
PACKAGE = "postgresql-{major}-pgaudit"
_ZONES = ("UTC", "GMT")
_LOGGED = (
    Wanted("log_connections", "on", accepts=("all", "receipt,authentication,authorization")),
    Wanted("log_disconnections", "on"),
    Wanted("log_statement", "none"),  # pgaudit records them, with their passwords left out
    Wanted("log_checkpoints", "on"),
    Wanted("log_lock_waits", "on"),
    Wanted("log_replication_commands", "on"),
    Wanted("log_error_verbosity", "default", accepts=("terse",)),
    Wanted("log_hostname", "off"),
    Wanted("log_min_messages", "warning", accepts=WARNING_LEVELS),
    Wanted("log_min_error_statement", "error", accepts=ERROR_LEVELS),
    Wanted("log_timezone", "Etc/UTC", accepts=_ZONES),
)
_CLASSES = "ddl,role"
_NAMES = tuple(wanted.name for wanted in _LOGGED)


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """Settings in effect, the files that give them, packages, and what PUBLIC may do."""
    asked = ("pg_databases", "pg_config_modes")
    state = tuple(reading for reading in readings(settings) if reading.name in asked)
    return {
        "clusters": postgres.CLUSTERS,
        "settings": postgres.settings(
            *_NAMES, "log_line_prefix", "shared_preload_libraries", "pgaudit.log"
        ),
        "files": CONFIG_FILES,
        "installed": packages.INSTALLED,
        "state": batch("postgres_baseline_state", state),
        "info": info(settings.backup.stanza),
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Drop-ins for the log and for pgaudit; rights of PUBLIC taken back.

    Raises UnfitTarget: pgaudit's package is not there yet.
    """
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=NAME, refusals=(missing_cluster(settings, values["clusters"]),))
    state: Readings = values["state"]
    if state.missing:
        return Plan(name=NAME, refusals=tuple(state.missing.values()))
    seen: dict[str, Setting] = values["settings"]
    files: ConfigFiles = values["files"]
    logged, audited = wanted_log(seen), wanted_audit(seen)
    seen = _with_placeholder(seen)
    refusals = overriding(logged, seen, files, f"{files.drop_in_directory}/{LOG_FILE}")
    refusals += overriding(audited, seen, files, f"{files.drop_in_directory}/{AUDIT_FILE}")
    log = drop_in_change(
        identifier="postgres.logging",
        title="log who comes and goes, waits, checkpoints; no statement with its passwords",
        why="bans, an audit and a post-mortem all start from these lines (CIS PostgreSQL 3.1)",
        file_name=LOG_FILE,
        purpose="what is logged",
        wanted=logged,
        settings=seen,
        files=files,
        cluster=cluster,
    )
    audit = drop_in_change(
        identifier="postgres.pgaudit",
        title="load pgaudit: it records changes of schema and roles",
        why="an audit log that a statement's author cannot switch off (CIS PostgreSQL 3.2)",
        file_name=AUDIT_FILE,
        purpose="the audit log",
        wanted=audited,
        settings=seen,
        files=files,
        cluster=cluster,
    )
    if audit is not None:
        _need_package(cluster, values["installed"])
    refusals += restart_refusals(audit, values["info"])
    found = [log, audit, _modes(state), *_public_schema(state)]
    changes = tuple(change for change in found if change is not None)
    return Plan(
        name=NAME,
        changes=changes,
        noop_reason="" if changes else "PostgreSQL logs what it should, and PUBLIC may do little",
        refusals=tuple(refusals),
    )


def wanted_log(seen: dict[str, Setting]) -> tuple[Wanted, ...]:
    """A prefix that says enough already stays: bans read it."""
    prefix = seen["log_line_prefix"].value
    kept = PREFIX if prefix_lacks(prefix) else prefix
    known = tuple(wanted for wanted in _LOGGED if wanted.name in seen)
    return (*known, Wanted("log_line_prefix", kept))


def wanted_audit(seen: dict[str, Setting]) -> tuple[Wanted, ...]:
    """pgaudit beside whatever is preloaded already."""
    now = seen["shared_preload_libraries"]
    text = now.written if now.pending_restart and now.written is not None else now.value
    libraries = [name.strip() for name in text.split(",") if name.strip()]
    if "pgaudit" not in libraries:
        libraries.append("pgaudit")
    given = seen["pgaudit.log"].value if "pgaudit.log" in seen else ""
    classes = {part.strip().lower() for part in given.split(",") if part.strip()}
    enough = "all" in classes or {"ddl", "role"} <= classes
    return (
        Wanted("shared_preload_libraries", ", ".join(libraries), accepts=(",".join(libraries),)),
        Wanted("pgaudit.log", given if enough else _CLASSES),
    )


def _with_placeholder(seen: dict[str, Setting]) -> dict[str, Setting]:
    """Before pgaudit is loaded its setting does not exist."""
    if "pgaudit.log" in seen:
        return seen
    none = Setting("pgaudit.log", "", "", "superuser", "default", "", False, None, "")
    return {**seen, "pgaudit.log": none}


def _need_package(cluster: Cluster, installed: dict[str, str]) -> None:
    package = PACKAGE.format(major=cluster.version)
    if package not in installed:
        raise UnfitTarget(
            "pgaudit cannot be loaded: its package is not installed",
            package,
            hint="the stage hardening-packages installs it",
        )


def _modes(state: Readings) -> Change | None:
    """pg_ctlcluster reads them as root, the server as postgres: nobody else needs to."""
    found: dict[str, FileMode] = state.values["pg_config_modes"]
    wide = [m for m in found.values() if m.mode & 0o137]
    if not wide:
        return None
    return Change(
        id="postgres.config-modes",
        title="leave PostgreSQL's configuration to postgres and root",
        why="it tells how the server can be reached and what it runs (lynis DBS-1828)",
        deeds=(RunCommand(argv=("chmod", "0640", *(m.path for m in wide))),),
        undo=tuple(RunCommand(argv=("chmod", f"{m.mode:04o}", m.path)) for m in wide),
        before="".join(f"{m.mode:04o} {m.path}\n" for m in wide),
        after="".join(f"0640 {m.path}\n" for m in wide),
    )


def _public_schema(state: Readings) -> list[Change]:
    """Clusters made before PostgreSQL 15 let everybody create in the schema public."""
    found = []
    for database in state.values["pg_databases"].values():
        if not database.public_create_in_public:
            continue
        found.append(
            Change(
                id=f"postgres.public-schema.{database.name}",
                title=f"let not everybody create in the schema public of {database.name}",
                why="a function put there is called by others (CIS PostgreSQL 4.10)",
                deeds=(
                    RunSql(
                        sql="REVOKE CREATE ON SCHEMA public FROM PUBLIC;", database=database.name
                    ),
                ),
                undo=(
                    RunSql(sql="GRANT CREATE ON SCHEMA public TO PUBLIC;", database=database.name),
                ),
                before="PUBLIC: CREATE, USAGE\n",
                after="PUBLIC: USAGE\n",
            )
        )
    return found


# -- page checksums: a stage of its own, because the server is stopped for as long as it takes

CHECKSUMS = "postgres-checksums"


def checksum_facts(settings: Settings) -> dict[str, Fact[Any]]:
    """The cluster and whether its pages carry checksums."""
    return {
        "clusters": postgres.CLUSTERS,
        "identity": postgres.IDENTITY,
        "info": info(settings.backup.stanza),
    }


def plan_checksums(settings: Settings, values: dict[str, Any]) -> Plan:
    """Stop, pg_checksums --enable, start: some minutes for every 10 GB."""
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=CHECKSUMS, refusals=(missing_cluster(settings, values["clusters"]),))
    if values["identity"].data_checksums:
        return Plan(name=CHECKSUMS, noop_reason="data pages carry checksums")
    change = Change(
        id="postgres.checksums",
        title="give every data page a checksum (the server is stopped meanwhile)",
        why="corruption is told when a page is read, and every backup looks at all of them (B9)",
        deeds=_with_server_down(cluster, "--enable"),
        undo=_with_server_down(cluster, "--disable"),
        before="data_checksums = off\n",
        after="data_checksums = on\n",
        effect=Effect.STOP,
    )
    running = values["info"] is not None and values["info"].backup_running
    why = "a backup is running, a stop would break it: wait until it has ended"
    return Plan(name=CHECKSUMS, changes=(change,), refusals=(why,) if running else ())


def _with_server_down(cluster: Cluster, option: str) -> tuple[Deed, ...]:
    program = f"/usr/lib/postgresql/{cluster.version}/bin/pg_checksums"
    return (
        RunCommand(argv=("systemctl", "stop", cluster.unit)),
        RunCommand(
            argv=(program, option, "--pgdata", cluster.data_directory),
            user="postgres",
            timeout_seconds=4 * 3600,
        ),
        RunCommand(argv=("systemctl", "start", cluster.unit)),
    )


POSTGRES_BASELINE = Stage(NAME, facts, plan)
POSTGRES_CHECKSUMS = Stage(CHECKSUMS, checksum_facts, plan_checksums)
