"""PostgreSQL is told that every segment is safe."""

from chronos_ops.faults.archiver import alter, push_lost, remember_segment, reset
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site


class ArchiveCommandNoop(Fault):
    id = "archive_command_noop"
    number = 1
    title = "archive_command = '/bin/true'"
    what = "an archive_command that succeeds and stores nothing: failed_count stays 0"
    finding = "backup.archive.reaches-repo1"

    def inject(self, site: Site) -> None:
        remember_segment(site)
        alter(site, "archive_command", "/bin/true")

    def undo(self, site: Site) -> None:
        reset(site, "archive_command")
        push_lost(site)


FAULT = ArchiveCommandNoop()
