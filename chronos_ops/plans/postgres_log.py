"""PostgreSQL's log as a jail must read it: where it is, and what a refused login looks like (H2).

Nothing is assumed: log_line_prefix, verbosity, destination and language are the server's own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chronos_ops.facts.postgres import Cluster, Setting
from chronos_ops.facts.postgres_log import Stderr
from chronos_ops.plans.drop_in import Wanted

FILE_NAME = "82-chronos-bans.conf"
# The address comes before all that a client chooses itself: a name cannot pretend to be an address.
PREFIX = "%m [%p] %q%h %u@%d %a "
_UTC = ("UTC", "Etc/UTC", "GMT", "Etc/GMT", "Etc/UCT", "UCT", "Zulu")
_ENGLISH = re.compile(r"(C|POSIX|en)\b|(C|en)[._]")
_TIMED = re.compile(r"%-?\d*[mtn]")
_ADDRESSED = re.compile(r"%-?\d*[hr]")

# Quotes are counted: a name that pretends to be a whole line has too many of them.
_WHO = r'"[^"]*", user "[^"]*"(?:, database "[^"]*")?(?:, [^"]*)?'
_REFUSED = (
    r'[\w-]+ authentication failed for user "[^"]*"',
    rf"no pg_hba\.conf entry for (?:host|replication connection from host) {_WHO}",
    rf"pg_hba\.conf rejects (?:connection for host|replication connection for host) {_WHO}",
    r'role "[^"]*" (?:does not exist|is not permitted to log in)',
)
_TIME = r"[\d-]+ [\d:.]+ \S+"
_ESCAPES = {  # what an escape of log_line_prefix prints; not those that a client chooses
    "b": r"[\w ]*",
    "p": r"\d*",
    "P": r"\d*",
    "l": r"\d*",
    "t": _TIME,
    "m": _TIME,
    "n": r"[\d.]+",
    "s": _TIME,
    "i": r"[\w ]*",
    "e": r"\w{5}",
    "c": r"[0-9a-f.]*",
    "v": r"\S*",
    "x": r"\d*",
    "Q": r"-?\d*",
    "L": r"\S*",
    "q": "",
    "%": "%",
}


@dataclass(frozen=True)
class Source:
    """Where refused logins can be read. `journal`: a journal match; else `file` is a path."""

    kind: str  # "lines", "csv", "json"
    file: str = ""
    journal: str = ""

    @property
    def shown(self) -> str:
        return self.file or f"journal: {self.journal}"


def source(
    log: Mapping[str, str], cluster: Cluster, collector: Mapping[str, str], stderr: Stderr
) -> Source:
    """Where the log is with these settings (name: value)."""
    kinds = destinations(log["log_destination"])
    collected = log["logging_collector"] == "on"
    named = "%" not in log["log_filename"]  # a name that changes with time is lost at its change
    if "stderr" in kinds and not collected:
        if stderr.target.startswith("socket:"):
            return Source("lines", journal=f"_SYSTEMD_UNIT={cluster.unit}")
        if _is_file(stderr.target):
            return Source("lines", file=stderr.target)
    for destination, kind in (("stderr", "lines"), ("csvlog", "csv"), ("jsonlog", "json")):
        if collected and named and destination in kinds and destination in collector:
            return Source(kind, file=collector[destination])
    return Source("lines", journal=f"SYSLOG_IDENTIFIER={log['syslog_ident']}")


def destinations(text: str) -> list[str]:
    """The words of log_destination."""
    return [word.strip().lower() for word in text.split(",") if word.strip()]


def _is_file(target: str) -> bool:
    return target.startswith("/") and not target.startswith("/dev/") and " (deleted)" not in target


def wanted_log(
    settings: Mapping[str, Setting],
    path: str,
    cluster: Cluster,
    collector: Mapping[str, str],
    stderr: Stderr,
) -> tuple[Wanted, ...]:
    """Settings without which a line tells neither who came nor when. `path`: our drop-in."""
    log = {name: setting.value for name, setting in settings.items()}
    found = source(log, cluster, collector, stderr)
    values = {
        name: setting.written
        for name, setting in settings.items()
        if setting.written_in == path and setting.written is not None  # ours of a former run
    }
    if found.journal.startswith("SYSLOG") and "syslog" not in destinations(log["log_destination"]):
        values["log_destination"] = f"{log['log_destination']},syslog"
    if found.kind == "lines":
        prefix = log["log_line_prefix"]
        timed = bool(found.journal) or _TIMED.match(prefix.lstrip())
        if not timed or not _ADDRESSED.search(prefix):
            values["log_line_prefix"] = PREFIX
        if not _ENGLISH.match(log["lc_messages"]):
            values["lc_messages"] = "C"
    if found.file and log["log_timezone"] not in (*_UTC, stderr.host_zone):
        values["log_timezone"] = "UTC"
    if log["log_hostname"] == "on":
        values["log_hostname"] = "off"
    if log["log_min_messages"] == "panic":
        values["log_min_messages"] = "warning"
    return tuple(Wanted(name, value) for name, value in sorted(values.items()))


def failregex(found: Source, prefix: str) -> str:
    """One line of fail2ban's failregex for a refused login, `%` not yet doubled."""
    if found.kind == "csv":
        quoted = r'(?:"(?:[^"]|"")*")?'
        head = rf'^\s*(?:[A-Z]+)?,{quoted},{quoted},\d*,"<ADDR>:\d+",'
        return head + r".*,FATAL,(?:28P01|28000),"
    if found.kind == "json":
        return r'"remote_host":"<ADDR>".*"error_severity":"FATAL","state_code":"(?:28P01|28000)"'
    head = r"^\S+ \S+?(?:\[\d+\])?:\s+(?:\[\d+-\d+\]\s+)?" if found.journal else "^"
    refused = "|".join(_REFUSED)
    return (
        head
        + prefix_pattern(prefix, date_cut=bool(found.file))
        + rf"FATAL:\s+(?:[0-9A-Z]{{5}}: )?(?:{refused})\s*$"
    )


def prefix_pattern(prefix: str, *, date_cut: bool) -> str:
    """The prefix as a pattern. Behind an address that nothing chosen precedes, anything may stand.

    `date_cut`: fail2ban has taken the date at the line's beginning away, perhaps not its zone.
    """
    pattern, position, chosen, addressed = "", 0, False, False
    for match in re.finditer(r"%(-?\d+)?([a-zA-Z%])", prefix):
        pattern += _literal(prefix[position : match.start()])
        position = match.end()
        letter = match[2]
        rest = prefix[position:]
        if letter in "hr":
            piece = r"\S*" if addressed else r"<ADDR>(?:\(\d+\))?"
            pattern += rf"\s*{piece}\s*" if match[1] else piece
            addressed = True
            if not chosen:
                return pattern + r"(?![\w.]).*?"
            continue
        if date_cut and letter in "mtn" and not pattern.strip():
            pattern = r"\s*(?:[A-Za-z]{1,6}|[+-]\d{2}(?::?\d{2})?)?"
            continue
        known = _ESCAPES.get(letter)
        if known is not None:
            piece = known
        else:  # user, database, application: chosen by the client
            chosen = True
            piece = f"[^{re.escape(rest[0])}]*" if rest and rest[0] not in "% " else r"\S*"
        pattern += rf"\s*{piece}\s*" if match[1] else piece
    return pattern + _literal(prefix[position:])


def _literal(text: str) -> str:
    return re.sub(r"(\\? )+", r"\\s+", re.escape(text))
