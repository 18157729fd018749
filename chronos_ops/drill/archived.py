"""Waiting until a WAL segment lies in a repository: seen there, not believed (B9).

The server's archiver says that its command succeeded; a command may succeed and store nothing.
"""

import time
from collections.abc import Iterable

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups, wal_archive
from chronos_ops.facts.backups import StanzaInfo
from chronos_ops.model.errors import ChronosError, CommandFailed, Rule

ARCHIVE_SECONDS = 180.0
ARRIVES = Rule(
    "drill.repository.wal-arrives",
    "a WAL segment that the server has closed reaches the repository",
    "seen there within the archive timeout and a while",
    "B9",
)
# Where nothing was written since the last switch, pg_switch_wal() does nothing and names the open
# segment, which nobody closes: so something is written first.
_SWITCH = """
WITH written AS MATERIALIZED (SELECT pg_logical_emit_message(false, 'chronos', 'switch') AS lsn)
SELECT pg_walfile_name(pg_switch_wal()) AS segment FROM written WHERE lsn IS NOT NULL
"""


def switch_segment(ssh: Ssh) -> str:
    """Close the open WAL segment; its name."""
    return str(ssh.sql_rows(_SWITCH)[0]["segment"])


def wait_stored(
    context: Context, ssh: Ssh, stanza: str, segment: str, patience: float = ARCHIVE_SECONDS
) -> float:
    """Until repo1 holds a segment; the seconds until it was seen there. Raises ChronosError."""
    with context.journal.interval("wait", f"{segment} in repo1"):
        arrived = arrivals(context, ssh, stanza, (1,), segment, patience)
    if 1 not in arrived:
        raise ChronosError(
            f"WAL segment {segment} was not in the repository after {patience:.0f} s",
            context.ask(wal_archive.ARCHIVER, ssh),
            hint="see the server's log, and `pgbackrest check` on it",
            breaks=ARRIVES,
        )
    return round(arrived[1], 3)


def arrivals(
    context: Context,
    ssh: Ssh,
    stanza: str,
    repositories: Iterable[int],
    segment: str,
    patience: float,
) -> dict[int, float]:
    """Seconds until each repository held the segment; one that never did is absent."""
    began = time.monotonic()
    waiting = set(repositories)
    arrived: dict[int, float] = {}
    info: StanzaInfo | None = None
    while waiting and time.monotonic() - began < patience:
        for repo in sorted(waiting):
            archive_id = info.archive_id(repo) if info else None
            if archive_id is None:
                info = context.ask(backups.info(stanza), ssh)
                continue
            if _stored(context, ssh, stanza, repo, archive_id, segment):
                arrived[repo] = time.monotonic() - began
        waiting -= set(arrived)
        context.say(f"waiting for {segment} in {', '.join(f'repo{r}' for r in sorted(waiting))}")
        if waiting:
            time.sleep(0.1)
    return arrived


def _stored(
    context: Context, ssh: Ssh, stanza: str, repo: int, archive_id: str, segment: str
) -> bool:
    try:
        return context.ask(wal_archive.segment_stored(stanza, repo, archive_id, segment), ssh)
    except CommandFailed:
        return False  # the repository does not answer: so nothing is seen to arrive
