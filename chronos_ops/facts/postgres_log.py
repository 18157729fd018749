"""Where PostgreSQL's log really goes, and what its lines look like (H2)."""

from dataclasses import dataclass

from chronos_ops.facts.postgres import settings as postgres_settings
from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, Rows, ShellAnswer, ShellQuestion, SqlQuestion

# What a line looks like and where it goes.
LOG_SETTINGS = postgres_settings(
    "lc_messages",
    "log_destination",
    "log_error_verbosity",
    "log_filename",
    "log_hostname",
    "log_line_prefix",
    "log_min_messages",
    "log_timezone",
    "logging_collector",
    "syslog_ident",
    "syslog_sequence_numbers",
)

# The collector keeps a list of the files that it writes: `csvlog log/postgresql.csv`.
_FILES = """
SELECT coalesce(pg_read_file('current_logfiles', 0, 8192, true), '') AS listed,
       current_setting('data_directory') AS data_directory
"""


def _read_files(rows: Rows) -> dict[str, str]:
    if len(rows) != 1:
        raise UnreadableAnswer("PostgreSQL's log files: one row expected", len(rows))
    base = rows[0]["data_directory"]
    found: dict[str, str] = {}
    for line in rows[0]["listed"].splitlines():
        kind, _, path = line.partition(" ")
        if not path:
            raise UnreadableAnswer("not a line of current_logfiles", line)
        found[kind] = path if path.startswith("/") else f"{base}/{path}"
    return found


# stderr, csvlog, jsonlog: absolute path of what the logging collector writes now; empty: it is off.
COLLECTOR_FILES: Fact[dict[str, str]] = Fact("postgres_log_files", SqlQuestion(_FILES), _read_files)

# The postmaster's own stderr says where the log is, whatever the configuration says.
_SCRIPT = """
pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
echo "stderr $(readlink "/proc/$pid/fd/2" 2>/dev/null)"
zone=$(readlink -f /etc/localtime 2>/dev/null | sed 's:.*/zoneinfo/::')
echo "zone ${zone:-Etc/UTC}"
"""


@dataclass(frozen=True)
class Stderr:
    """`target`: a file's path, `pipe:[..]` (the collector), `socket:[..]` (the journal)."""

    target: str
    host_zone: str


def _read_stderr(answer: ShellAnswer) -> Stderr:
    found = dict(line.partition(" ")[::2] for line in lines(answer))
    if set(found) != {"stderr", "zone"}:
        raise UnreadableAnswer("not where PostgreSQL's stderr goes", answer.stdout[:200])
    return Stderr(found["stderr"].strip(), found["zone"].strip())


_DECLARED = (
    'set -- $(pg_lsclusters -h | awk -v name="$1" -v port="$2" '
    "'$2 == name && $3 == port {print $6; exit}');" + _SCRIPT
)


def stderr(cluster: str, port: int) -> Fact[Stderr]:
    """Where the declared cluster's stderr goes, and the host's time zone."""
    argv = ("sh", "-c", _DECLARED, "stderr", cluster, str(port))
    return Fact("postgres_stderr", ShellQuestion(argv, sudo=True), _read_stderr)
