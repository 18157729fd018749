"""Waiting until a WAL segment has left a server."""

import time

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.facts.wal_archive import ARCHIVER
from chronos_ops.model.errors import ChronosError

ARCHIVE_SECONDS = 180.0
_SWITCH = "SELECT pg_walfile_name(pg_switch_wal()) AS segment"


def switch_segment(ssh: Ssh) -> str:
    """Close the open WAL segment; its name."""
    return str(ssh.sql_rows(_SWITCH)[0]["segment"])


def wait_archived(
    context: Context, ssh: Ssh, segment: str, patience: float = ARCHIVE_SECONDS
) -> float:
    """Until the server's archiver has sent a segment; the seconds that it took. ChronosError."""
    began = time.monotonic()
    with context.journal.interval("wait", f"archiving of {segment}"):
        while True:
            archiver = context.ask(ARCHIVER, ssh)
            seconds = time.monotonic() - began
            if archiver.last_archived[:24] >= segment:
                return round(seconds, 3)
            if seconds > patience:
                raise ChronosError(
                    f"WAL segment {segment} was not archived in {seconds:.0f} s",
                    archiver,
                    hint="see the server's log, and `pgbackrest check` on it",
                )
            time.sleep(0.1)
