"""A commit that the primary has, and the repository has not yet."""

from collections.abc import Mapping

from chronos_ops.faults.archiver import alter, reset, wait_for_archiver
from chronos_ops.faults.restoring import TargetFault, proof
from chronos_ops.faults.site import Site

_NOW = """SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


class TargetAfterLastWal(TargetFault):
    id = "target_after_last_wal"
    title = "A moment after the last archived WAL"
    what = "restore to a moment ago: its WAL segment is still open, or waits for the archiver"

    def inject(self, site: Site) -> None:
        alter(site, "archive_timeout", "3600")  # nothing is archived until the run has looked
        wait_for_archiver(site)
        site.sql("SELECT pg_create_restore_point('after'); SELECT pg_switch_wal();")
        wait_for_archiver(site)
        site.kept["moment"] = site.sql(_NOW)

    def asked(self, site: Site) -> Mapping[str, str]:
        return proof(f"time:{site.kept['moment']}")

    def undo(self, site: Site) -> None:
        reset(site, "archive_timeout")


FAULT = TargetAfterLastWal()
