"""Rows that were there before are not there after."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import LOSS, RestoredHostFault


class RowsMissing(RestoredHostFault):
    id = "rows_missing"
    number = 15
    title = "Rows are missing after the restore"
    what = "the restored database accepts connections, and some rows are gone"
    finding = "drill.integrity.digests"
    strike_after = "recover"
    parameters = LOSS

    def strike(self, host: Ssh) -> None:
        host.sql("DELETE FROM shop.documents WHERE id = 7;", "chronos_drill")


FAULT = RowsMissing()
