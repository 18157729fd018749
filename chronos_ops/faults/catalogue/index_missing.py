"""Every row is there, and an object that is no row is not."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import LOSS, RestoredHostFault


class IndexMissing(RestoredHostFault):
    id = "index_missing"
    number = 15
    title = "An index is missing after the restore"
    what = "rows and remaining indexes are whole; what an index had promised nobody promises"
    finding = "drill.integrity.catalog"
    strike_after = "recover"
    parameters = LOSS

    def strike(self, host: Ssh) -> None:
        host.sql("DROP INDEX shop.orders_tag;", "chronos_drill")


FAULT = IndexMissing()
