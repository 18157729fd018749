"""amcheck looks at no BRIN index, and no SELECT of every row reads it."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import LOSS, RestoredHostFault, damage


class IndexBrinDamaged(RestoredHostFault):
    id = "index_brin_damaged"
    number = 15
    title = "A page of a BRIN index is damaged"
    what = "an index that no B-tree check knows: a query finds out, perhaps a year later"
    finding = "drill.integrity.pages-read"
    parameters = LOSS  # whose primary has page checksums
    strike_after = "recover"

    def strike(self, host: Ssh) -> None:
        damage(host, "shop.orders_placed")


FAULT = IndexBrinDamaged()
