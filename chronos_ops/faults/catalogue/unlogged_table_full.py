"""Rows of an unlogged table come from no backup."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault


class UnloggedTableFull(RestoredHostFault):
    id = "unlogged_table_full"
    number = 15
    title = "An unlogged table is not empty"
    what = "rows of no certain moment: they were not reset when recovery ended"
    finding = "drill.integrity.unlogged"
    strike_after = "recover"

    def strike(self, host: Ssh) -> None:
        host.sql("CREATE UNLOGGED TABLE passing AS SELECT 1 AS n;")


FAULT = UnloggedTableFull()
