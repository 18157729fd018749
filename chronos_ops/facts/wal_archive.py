"""WAL on its way into the repositories: the archiver's word, the backlog, what has arrived."""

import re
from dataclasses import dataclass, field

from chronos_ops.facts.reading import json_value
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, Rows, ShellAnswer, ShellQuestion, SqlQuestion
from chronos_ops.model.wal import DEFAULT_SEGMENT_BYTES, Lsn, WalSegment


@dataclass(frozen=True)
class Archiver:
    """pg_stat_archiver and the status directory. What the server believes: never a proof."""

    archived_count: int
    last_archived: str
    last_archived_at: str | None
    failed_count: int
    last_failed: str
    last_failed_at: str | None
    ready: int  # segments that wait for the archiver (.ready files)
    oldest_ready_seconds: float
    wal_bytes: int  # size of pg_wal


_ARCHIVER = """
SELECT a.archived_count, coalesce(a.last_archived_wal, '') AS last_archived,
       a.last_archived_time AS last_archived_at, a.failed_count,
       coalesce(a.last_failed_wal, '') AS last_failed, a.last_failed_time AS last_failed_at,
       r.ready, r.oldest_ready_seconds,
       (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir()) AS wal_bytes
FROM pg_stat_archiver a,
     (SELECT count(*) AS ready,
             coalesce(extract(epoch FROM clock_timestamp() - min(modification)), 0)
                 AS oldest_ready_seconds
      FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') r
"""


def _read_archiver(rows: Rows) -> Archiver:
    if len(rows) != 1:
        raise UnreadableAnswer("pg_stat_archiver: one row expected", len(rows))
    row = rows[0]
    return Archiver(
        archived_count=int(row["archived_count"]),
        last_archived=row["last_archived"],
        last_archived_at=row["last_archived_at"],
        failed_count=int(row["failed_count"]),
        last_failed=row["last_failed"],
        last_failed_at=row["last_failed_at"],
        ready=int(row["ready"]),
        oldest_ready_seconds=float(row["oldest_ready_seconds"]),
        wal_bytes=int(row["wal_bytes"]),
    )


ARCHIVER: Fact[Archiver] = Fact("postgres_archiver", SqlQuestion(_ARCHIVER), _read_archiver)

_SEGMENT_FILE = re.compile(r"^([0-9A-F]{24})-[0-9a-f]{40}(\.\w+)?$")


@dataclass(frozen=True)
class Archive:
    """What really lies in one repository for one archive id (`17-1`)."""

    segments: tuple[WalSegment, ...] = ()
    stored_at: dict[str, int] = field(default_factory=dict)  # segment name: epoch seconds, UTC

    def has(self, segment: WalSegment) -> bool:
        return str(segment) in self.stored_at

    def newest(self, timeline: int) -> WalSegment | None:
        """The newest segment of a timeline, or None."""
        mine = [s for s in self.segments if s.timeline == timeline]
        return max(mine) if mine else None


@dataclass(frozen=True)
class ArchiveListing:
    """One repository's archive of a stanza: info files, and segments by archive id."""

    info: bool  # archive.info is there
    info_copy: bool
    archives: dict[str, Archive]


def _read_listing(answer: ShellAnswer, segment_bytes: int) -> ArchiveListing:
    listing = json_value(answer, "repo-ls")
    if not isinstance(listing, dict) or "." not in listing:
        raise UnreadableAnswer("not a listing of repo-ls", answer.stdout[:120])
    stored: dict[str, dict[str, int]] = {}
    for path, entry in listing.items():
        archive_id, _, rest = path.partition("/")
        match = _SEGMENT_FILE.match(rest.rpartition("/")[2])
        if match and entry.get("type") == "file":
            stored.setdefault(archive_id, {})[match[1]] = int(entry.get("time", 0))
    archives = {
        archive_id: Archive(
            tuple(WalSegment.parse(name, segment_bytes) for name in sorted(names)), names
        )
        for archive_id, names in stored.items()
    }
    return ArchiveListing("archive.info" in listing, "archive.info.copy" in listing, archives)


def archive_listing(
    stanza: str, repo: int, segment_bytes: int = DEFAULT_SEGMENT_BYTES
) -> Fact[ArchiveListing]:
    """What lies in a repository's archive, from the repository itself (`repo-ls`)."""
    argv = (
        "pgbackrest",
        f"--repo={repo}",
        "--log-level-console=off",
        "--recurse",
        "--output=json",
        "repo-ls",
        f"archive/{stanza}",
    )
    return Fact(
        "wal_archive",
        ShellQuestion(argv, user="postgres"),
        lambda answer: _read_listing(answer, segment_bytes),
    )


def segment_stored(stanza: str, repo: int, archive_id: str, segment: str) -> Fact[bool]:
    """Whether one segment lies in a repository (a short listing, to be asked again and again)."""
    argv = (
        "pgbackrest",
        f"--repo={repo}",
        "--log-level-console=off",
        "--output=json",
        f"--filter=^{segment}-[0-9a-f]+",
        "repo-ls",
        f"archive/{stanza}/{archive_id}/{segment[:16]}",
    )

    def read(answer: ShellAnswer) -> bool:
        listing = json_value(answer, "repo-ls")
        return any(str(path).startswith(segment) for path in listing)

    return Fact("segment_stored", ShellQuestion(argv, user="postgres"), read)


History = tuple[tuple[int, Lsn], ...]  # ancestors of a timeline, and where it left each
_HISTORIES = r"""
set -eu
stanza=$1; repo=$2; path=archive/$stanza/$3
ask() { pgbackrest --stanza="$stanza" --repo="$repo" --log-level-console=off "$@"; }
for name in $(ask --filter='[.]history$' repo-ls "$path"); do
    echo "== $name"
    ask repo-get "$path/$name"
    echo
done
"""
_LEFT = re.compile(r"^\s*(\d+)\s+([0-9A-F]+/[0-9A-F]+)\b")


def _read_histories(answer: ShellAnswer) -> dict[int, History]:
    found: dict[int, History] = {}
    head, *texts = re.split("(?m)^== ", answer.stdout)
    if head.strip():
        raise UnreadableAnswer("not the histories of an archive", head[:120])
    for text in texts:
        name, *lines = text.splitlines()
        left = [match for line in lines if (match := _LEFT.match(line))]
        if not re.fullmatch(r"[0-9A-F]{8}\.history", name) or not left:
            raise UnreadableAnswer("not a timeline's history", text[:120])
        found[int(name[:8], 16)] = tuple((int(m[1]), Lsn.parse(m[2])) for m in left)
    return found


def histories(stanza: str, repo: int, archive_id: str) -> Fact[dict[int, History]]:
    """The archived history of each timeline but the first (PostgreSQL manual, "Timelines")."""
    argv = ("sh", "-c", _HISTORIES, "histories", stanza, str(repo), archive_id)
    return Fact("wal_histories", ShellQuestion(argv, user="postgres"), _read_histories)
