"""Without its info files a repository is a heap of encrypted objects."""

from chronos_ops.faults.archiver import wait_for_archiver
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.objects import bring_back, delete, keys_below, live
from chronos_ops.faults.site import Site


class ArchiveInfoDeleted(Fault):
    id = "archive_info_deleted"
    number = 5
    title = "archive.info is deleted"
    what = "the lifecycle took archive.info and its copy: nothing of the repository can be read"
    finding = "backup.repo1.info-files"

    def inject(self, site: Site) -> None:
        delete(site, keys_below(site, f"{live(site, 'archive')}/archive.info"))

    def undo(self, site: Site) -> None:
        bring_back(site)
        wait_for_archiver(site)


FAULT = ArchiveInfoDeleted()
