"""Controls of what PostgreSQL logs, and of its audit log."""

from chronos_ops.facts.audit_system import FileMode
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.postgres import is_set, setting
from chronos_ops.plans.controls.verdicts import CIS_POSTGRES, Values, control, judged, none_of

_BASELINE = "stage `postgres-baseline`"
_OFF = ("", "off")
# Levels at least as talkative as `warning`, and as `error`.
WARNING_LEVELS = ("debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning")
ERROR_LEVELS = (*WARNING_LEVELS, "error")


def _connections(_: Settings, values: Values) -> Verdict:
    """`on`; from PostgreSQL 18 a list: receipt,authentication,authorization."""
    seen = setting(values, "log_connections")
    return judged(seen not in _OFF, f"log_connections = {seen!r}", "on")


def prefix_lacks(prefix: str) -> list[str]:
    """What a log_line_prefix does not say of when, who and from where."""
    when = any(mark in prefix for mark in ("%m", "%t", "%n"))
    where = "%h" in prefix or "%r" in prefix
    missing = [] if when else ["%m (time)"]
    wanted = (("%p", "process"), ("%u", "role"), ("%d", "database"))
    missing += [f"{mark} ({word})" for mark, word in wanted if mark not in prefix]
    return missing if where else [*missing, "%h (address)"]


def _prefix(_: Settings, values: Values) -> Verdict:
    missing = prefix_lacks(setting(values, "log_line_prefix"))
    return none_of(missing, "time, process, role, database and address in every line")


def _statements(_: Settings, values: Values) -> Verdict:
    """log_statement writes CREATE ROLE ... PASSWORD as it came; pgaudit leaves the password out."""
    seen = setting(values, "log_statement")
    wanted = ("none",) if _loaded(values) else ("ddl", "mod", "all")
    said = "none: pgaudit records them" if _loaded(values) else "ddl, mod or all"
    return judged(seen in wanted, f"log_statement = {seen!r}", said)


def _loaded(values: Values) -> bool:
    names = setting(values, "shared_preload_libraries").split(",")
    return "pgaudit" in [name.strip() for name in names]


def _debug(_: Settings, values: Values) -> Verdict:
    names = ("debug_print_parse", "debug_print_rewritten", "debug_print_plan")
    return none_of([n for n in names if setting(values, n) == "on"], "all off")


def _files(_: Settings, values: Values) -> Verdict:
    modes: dict[str, FileMode] = values["pg_log_modes"]
    wrong = [f"{m.path} {m.mode:o}" for m in modes.values() if m.mode & 0o007]
    return none_of(wrong, "0640 or stricter")


def _pgaudit_loaded(_: Settings, values: Values) -> Verdict:
    seen = setting(values, "shared_preload_libraries")
    return judged(_loaded(values), f"shared_preload_libraries = {seen!r}", "pgaudit among them")


def _pgaudit_log(_: Settings, values: Values) -> Verdict:
    seen = setting(values, "pgaudit.log")
    classes = {part.strip().lower() for part in seen.split(",") if part.strip()}
    good = "all" in classes or {"ddl", "role"} <= classes
    return judged(good, f"pgaudit.log = {seen!r}", "ddl and role at least")


CONTROLS: tuple[Control, ...] = (
    control(
        "postgres.log-connections",
        "Connections are logged",
        f"{CIS_POSTGRES} 3.1.20",
        "pg_settings",
        _connections,
        _BASELINE,
    ),
    control(
        "postgres.log-disconnections",
        "Their ends are logged",
        f"{CIS_POSTGRES} 3.1.21",
        "pg_settings",
        is_set("log_disconnections", "on"),
        _BASELINE,
    ),
    control(
        "postgres.log-prefix",
        "Every line says when, who and from where",
        f"{CIS_POSTGRES} 3.1.24",
        "pg_settings",
        _prefix,
        _BASELINE,
    ),
    control(
        "postgres.log-statement",
        "Changes of the schema are logged, passwords are not",
        f"{CIS_POSTGRES} 3.1.25, 3.2",
        "pg_settings",
        _statements,
        _BASELINE,
    ),
    control(
        "postgres.log-level",
        "Warnings are logged",
        f"{CIS_POSTGRES} 3.1.14",
        "pg_settings",
        is_set("log_min_messages", *WARNING_LEVELS),
        _BASELINE,
    ),
    control(
        "postgres.log-error-statement",
        "The statement of an error is logged",
        f"{CIS_POSTGRES} 3.1.15",
        "pg_settings",
        is_set("log_min_error_statement", *ERROR_LEVELS),
        _BASELINE,
    ),
    control(
        "postgres.log-verbosity",
        "Lines keep the shape that bans rely on",
        f"{CIS_POSTGRES} 3.1.22",
        "pg_settings",
        is_set("log_error_verbosity", "default", "terse"),
        _BASELINE,
    ),
    control(
        "postgres.log-hostname",
        "No name is looked up for a log line",
        f"{CIS_POSTGRES} 3.1.23",
        "pg_settings",
        is_set("log_hostname", "off"),
        _BASELINE,
    ),
    control(
        "postgres.log-zone",
        "The log is in UTC",
        f"{CIS_POSTGRES} 3.1.26",
        "pg_settings",
        is_set("log_timezone", "UTC", "Etc/UTC", "GMT"),
        _BASELINE,
    ),
    control(
        "postgres.log-checkpoints",
        "Checkpoints are logged",
        "PostgreSQL manual, log_checkpoints",
        "pg_settings",
        is_set("log_checkpoints", "on"),
        _BASELINE,
    ),
    control(
        "postgres.log-lock-waits",
        "Long waits for locks are logged",
        "PostgreSQL manual, log_lock_waits",
        "pg_settings",
        is_set("log_lock_waits", "on"),
        _BASELINE,
    ),
    control(
        "postgres.log-replication",
        "Commands of replication are logged",
        f"{CIS_POSTGRES} 7.2",
        "pg_settings",
        is_set("log_replication_commands", "on"),
        _BASELINE,
    ),
    control(
        "postgres.no-debug-output",
        "No plans or parse trees in the log",
        f"{CIS_POSTGRES} 3.1.16, 3.1.17, 3.1.18",
        "pg_settings",
        _debug,
        _BASELINE,
    ),
    control(
        "postgres.log-files",
        "Log files are not for everybody",
        f"{CIS_POSTGRES} 3.1.6",
        "pg_log_modes",
        _files,
        "chmod 0640 /var/log/postgresql/*.log",
    ),
    control(
        "postgres.pgaudit",
        "pgaudit is loaded",
        f"{CIS_POSTGRES} 3.2",
        "pg_settings",
        _pgaudit_loaded,
        _BASELINE + " (needs a restart)",
    ),
    control(
        "postgres.pgaudit-classes",
        "pgaudit records what changes schema and roles",
        f"{CIS_POSTGRES} 3.2; pgaudit, Settings",
        "pg_settings",
        _pgaudit_log,
        _BASELINE,
    ),
)
