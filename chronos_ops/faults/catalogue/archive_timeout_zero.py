"""A database that writes little keeps its last hours in one open segment."""

from chronos_ops.faults.archiver import alter, reset
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site


class ArchiveTimeoutZero(Fault):
    id = "archive_timeout_zero"
    number = 2
    title = "archive_timeout = 0"
    what = "an open segment is never closed by time: an idle database loses hours, not a minute"
    finding = "backup.objective.recovery-point"

    def inject(self, site: Site) -> None:
        alter(site, "archive_timeout", "0")

    def undo(self, site: Site) -> None:
        reset(site, "archive_timeout")


FAULT = ArchiveTimeoutZero()
