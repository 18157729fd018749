"""A thief of the host's key can delete, though not for good."""

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.objects import bring_back, delete, keys_below, live
from chronos_ops.faults.site import Site


class ObjectDeleted(Fault):
    id = "object_deleted"
    number = 10
    title = "A backup set's files are deleted"
    what = "the host's own key deleted what it may delete; the versions bring it back"
    finding = "backup.repo1.verified"

    def inject(self, site: Site) -> None:
        delete(site, keys_below(site, f"{live(site, 'backup')}/", "/bundle/"))

    def undo(self, site: Site) -> None:
        bring_back(site)


FAULT = ObjectDeleted()
