"""The archiver of the struck server: its settings, and how it gets going again."""

import time

from chronos_ops.faults.site import Site
from chronos_ops.model.errors import ChronosError

_WAITING = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
_CURRENT = "SELECT pg_walfile_name(pg_current_wal_lsn())"
_CATCH_UP_SECONDS = 150.0


def alter(site: Site, name: str, value: str) -> None:
    """ALTER SYSTEM, as an operator in a hurry does it: it beats every file. Reloads."""
    quoted = value.replace("'", "''")
    site.sql(f"ALTER SYSTEM SET {name} = '{quoted}'; SELECT pg_reload_conf();")


def reset(site: Site, name: str) -> None:
    """Take that back."""
    site.sql(f"ALTER SYSTEM RESET {name}; SELECT pg_reload_conf();")


def remember_segment(site: Site) -> None:
    """From here on segments may be lost: `push_lost` brings them, if no checkpoint removes them."""
    alter(site, "wal_keep_size", "1GB")
    site.kept["since"] = site.sql(_CURRENT)


def push_lost(site: Site) -> None:
    """Store the closed segments that were reported as archived and never were."""
    since, current = site.kept["since"], site.sql(_CURRENT)
    names = site.sql("SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'").split()
    directory = site.sql("SHOW data_directory")
    push = ["pgbackrest", f"--stanza={site.settings.backup.stanza}", "--no-archive-async"]
    for name in sorted(names):
        if since <= name < current:
            path = f"{directory}/pg_wal/{name}"
            site.ssh.run([*push, "archive-push", path], user="postgres")
    reset(site, "wal_keep_size")


def wait_for_archiver(site: Site) -> None:
    """Until nothing waits; a switch wakes the archiver, which pauses a minute after failures."""
    deadline = time.monotonic() + _CATCH_UP_SECONDS
    while site.sql(_WAITING) != "0":
        if time.monotonic() > deadline:
            raise ChronosError("the archiver does not catch up", site.ssh)
        site.sql("SELECT pg_create_restore_point('wake'); SELECT pg_switch_wal();")
        time.sleep(0.5)
