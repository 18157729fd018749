"""A lifecycle rule of somebody else moved what is needed at once."""

from chronos_ops.faults.archiver import wait_for_archiver
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.objects import bring_back, keys_below, live, overwrite
from chronos_ops.faults.site import Site


class ArchiveInfoFrozen(Fault):
    id = "archive_info_frozen"
    number = 5
    title = "archive.info is in Deep Archive"
    what = "a lifecycle rule froze archive.info and its copy: S3 answers InvalidObjectState"
    finding = "backup.repo1.storage-class"

    def inject(self, site: Site) -> None:
        for key in keys_below(site, f"{live(site, 'archive')}/archive.info"):
            overwrite(site, key, StorageClass="DEEP_ARCHIVE")

    def undo(self, site: Site) -> None:
        bring_back(site)
        wait_for_archiver(site)


FAULT = ArchiveInfoFrozen()
