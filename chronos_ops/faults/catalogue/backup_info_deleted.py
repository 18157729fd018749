"""Without its info files a repository is a heap of encrypted objects."""

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.objects import bring_back, delete, keys_below, live
from chronos_ops.faults.site import Site


class BackupInfoDeleted(Fault):
    id = "backup_info_deleted"
    number = 5
    title = "backup.info is deleted"
    what = "the lifecycle took backup.info and its copy: pgBackRest knows of no backup any more"
    finding = "backup.repo1.info-files"

    def inject(self, site: Site) -> None:
        delete(site, keys_below(site, f"{live(site, 'backup')}/backup.info"))

    def undo(self, site: Site) -> None:
        bring_back(site)


FAULT = BackupInfoDeleted()
