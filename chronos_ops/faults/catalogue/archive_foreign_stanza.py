"""The WAL goes somewhere, only not here."""

from chronos_ops.faults.archiver import alter, push_lost, remember_segment, reset
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site


class ArchiveForeignStanza(Fault):
    id = "archive_foreign_stanza"
    number = 1
    title = "archive_command pushes to another stanza"
    what = "a command copied from another server: its WAL goes to that server's stanza"
    finding = "backup.archive.command"

    def inject(self, site: Site) -> None:
        remember_segment(site)
        alter(site, "archive_command", "pgbackrest --stanza=another archive-push %p")

    def undo(self, site: Site) -> None:
        reset(site, "archive_command")
        push_lost(site)


FAULT = ArchiveForeignStanza()
