"""One byte of a backup is not what it was."""

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.objects import bring_back, keys_below, live, overwrite, read
from chronos_ops.faults.site import Site


class ObjectFlipped(Fault):
    id = "object_flipped"
    number = 8
    title = "A byte of a backup set is flipped"
    what = "an object of a backup is damaged; its size and name are as they were"
    finding = "backup.repo1.verified"

    def inject(self, site: Site) -> None:
        key = keys_below(site, f"{live(site, 'backup')}/", "/bundle/")[0]
        body = bytearray(read(site, key))
        body[len(body) // 2] ^= 1
        overwrite(site, key, bytes(body))

    def undo(self, site: Site) -> None:
        bring_back(site)


FAULT = ObjectFlipped()
