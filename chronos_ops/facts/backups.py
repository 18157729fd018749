"""What the repositories hold, as `pgbackrest info` tells: backup sets, stanza, repositories."""

from dataclasses import dataclass
from typing import Any

from chronos_ops.facts.reading import json_value
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

OK, MISSING_STANZA, NO_BACKUP, UNUSABLE_INFO = 0, 1, 2, 3  # status codes of `info`
SOURCE_ANNOTATION = "chronos-source"


@dataclass(frozen=True)
class BackupSet:
    """One backup. Moments are epoch seconds (UTC); sizes are bytes."""

    label: str
    kind: str  # full, diff, incr
    repo: int
    started: int
    stopped: int
    wal_start: str
    wal_stop: str
    lsn_stop: str
    page_errors: bool | None  # None: this release does not say
    size: int
    repository_size: int  # what this set alone takes in the repository
    database_id: int
    references: tuple[str, ...] = ()  # sets that hold files of this one (diff, incr)
    source: str = ""  # what the backup job wrote down of the server (facts/source.py)


@dataclass(frozen=True)
class Repository:
    """One repository's state for the stanza."""

    key: int
    code: int
    message: str
    cipher: str


@dataclass(frozen=True)
class Database:
    """A cluster that the stanza knows; the last one of a repository is the current one."""

    repo: int
    id: int
    system_identifier: str
    version: str


@dataclass(frozen=True)
class StanzaInfo:
    """`info` of one stanza. It exits 0 for a missing one: judge the codes."""

    name: str
    code: int
    message: str
    backup_running: bool
    repositories: tuple[Repository, ...]
    databases: tuple[Database, ...]
    backups: tuple[BackupSet, ...]  # oldest first
    archive_ids: tuple[tuple[int, str], ...]  # (repo, "17-1"), the current one last

    def of_repo(self, repo: int, kind: str = "") -> list[BackupSet]:
        """Backups of one repository, of one kind if given, oldest first."""
        return [b for b in self.backups if b.repo == repo and kind in ("", b.kind)]

    def repository(self, repo: int) -> Repository | None:
        return next((r for r in self.repositories if r.key == repo), None)

    def archive_id(self, repo: int, database: int = 0) -> str | None:
        """A cluster's archive id (`17-1`: its id last), the current one's if none is named; None if
        it has none yet."""
        of = f"-{database}" if database else ""
        ids = [name for key, name in self.archive_ids if key == repo and name.endswith(of)]
        return ids[-1] if ids else None


def _backup(item: dict[str, Any]) -> BackupSet:
    repository = item["info"]["repository"]
    return BackupSet(
        label=item["label"],
        kind=item["type"],
        repo=int(item["database"]["repo-key"]),
        started=int(item["timestamp"]["start"]),
        stopped=int(item["timestamp"]["stop"]),
        wal_start=item["archive"]["start"] or "",
        wal_stop=item["archive"]["stop"] or "",
        lsn_stop=(item.get("lsn") or {}).get("stop") or "",
        page_errors=item.get("error"),
        size=int(item["info"]["size"]),
        repository_size=int(repository.get("delta", repository.get("size", 0))),
        database_id=int(item["database"]["id"]),
        references=tuple(item.get("reference") or ()),
        source=(item.get("annotation") or {}).get(SOURCE_ANNOTATION, ""),
    )


def _stanza(item: dict[str, Any]) -> StanzaInfo:
    lock = item["status"].get("lock", {}).get("backup", {})
    return StanzaInfo(
        name=item["name"],
        code=int(item["status"]["code"]),
        message=item["status"]["message"],
        backup_running=bool(lock.get("held", False)),
        repositories=tuple(
            Repository(
                int(repo["key"]),
                int(repo["status"]["code"]),
                repo["status"]["message"],
                repo.get("cipher", "none"),
            )
            for repo in item["repo"]
        ),
        databases=tuple(
            Database(int(db["repo-key"]), int(db["id"]), str(db["system-id"]), str(db["version"]))
            for db in item["db"]
        ),
        backups=tuple(sorted(map(_backup, item["backup"]), key=lambda b: (b.stopped, b.label))),
        archive_ids=tuple((int(a["database"]["repo-key"]), a["id"]) for a in item["archive"]),
    )


def _read_info(answer: ShellAnswer, stanza: str) -> StanzaInfo | None:
    if not answer.stdout.strip():
        return None
    found = json_value(answer, "pgbackrest info")
    try:
        stanzas = [_stanza(item) for item in found]
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not the JSON of `pgbackrest info`", repr(error)) from None
    return next((item for item in stanzas if item.name == stanza), None)


def info(stanza: str) -> Fact[StanzaInfo | None]:
    """The stanza in every repository; None: pgBackRest is not installed or not configured."""
    script = (
        "! command -v pgbackrest >/dev/null || "
        'exec pgbackrest --log-level-console=off --output=json --stanza="$1" info'
    )
    question = ShellQuestion(("sh", "-c", script, "info", stanza), user="postgres")
    return Fact("backup_info", question, lambda answer: _read_info(answer, stanza))


def job_log(path: str, lines: int = 20) -> Fact[list[str]]:
    """The last ends of backup jobs, oldest first: done, failed, skipped (our own log)."""
    script = '! [ -e "$1" ] || tail -n "$2" -- "$1"'
    question = ShellQuestion(("sh", "-c", script, "log", path, str(lines)), sudo=True)
    return Fact("backup_job_log", question, lambda answer: answer.stdout.splitlines())


def _read_tablespaces(answer: ShellAnswer) -> tuple[str, ...]:
    found = json_value(answer, "pgbackrest info --set")
    try:
        (backup,) = found[0]["backup"]
        return tuple(item["destination"] for item in backup["tablespace"] or ())
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not the JSON of `pgbackrest info --set`", repr(error)) from None


def tablespaces(stanza: str, repo: int, label: str) -> Fact[tuple[str, ...]]:
    """The directories of a backup set's tablespaces, which a restore puts back where they were."""
    options = (f"--stanza={stanza}", f"--repo={repo}", f"--set={label}", "--output=json")
    argv = ("pgbackrest", "--log-level-console=off", *options, "info")
    return Fact("backup_tablespaces", ShellQuestion(argv, user="postgres"), _read_tablespaces)


@dataclass(frozen=True)
class RunningBackup:
    """A process of pgBackRest that backs up, whoever started it."""

    pid: int
    state: str  # as ps(1) has it: T is stopped
    seconds: int
    command: str


def _read_running(answer: ShellAnswer) -> list[RunningBackup]:
    found: list[RunningBackup] = []
    for line in answer.stdout.splitlines():
        words = line.split(maxsplit=3)
        if len(words) < 4 or not (words[0].isdigit() and words[2].isdigit()):
            raise UnreadableAnswer("not a line of ps", line)
        if words[3].split()[-1] == "backup":  # its workers are `backup:local`
            found.append(RunningBackup(int(words[0]), words[1][0], int(words[2]), words[3]))
    return found


# Backups that run now; ps answers 1 where there is none.
RUNNING: Fact[list[RunningBackup]] = Fact(
    "running_backups",
    ShellQuestion(
        ("ps", "-ww", "-C", "pgbackrest", "-o", "pid=,stat=,etimes=,args="), accept=(0, 1)
    ),
    _read_running,
)
