"""All is well until the next restart."""

from chronos_ops.faults.archiver import alter, reset
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site


class ArchiveModeOffPending(Fault):
    id = "archive_mode_off_pending"
    number = 2
    title = "archive_mode is off from the next restart on"
    what = "archive_mode = off is written and waits: a reboot at night ends the archiving"
    finding = "backup.archive.command"

    def inject(self, site: Site) -> None:
        alter(site, "archive_mode", "off")

    def undo(self, site: Site) -> None:
        reset(site, "archive_mode")


FAULT = ArchiveModeOffPending()
