"""A sequence that feeds no column is back where it began."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import LOSS, RestoredHostFault


class SequenceReset(RestoredHostFault):
    id = "sequence_reset"
    number = 15
    title = "A sequence gives out numbers again"
    what = "invoice numbers that were given out come a second time; no column would collide"
    finding = "drill.integrity.sequences"
    strike_after = "recover"
    parameters = LOSS

    def strike(self, host: Ssh) -> None:
        host.sql("ALTER SEQUENCE shop.invoice_number RESTART;", "chronos_drill")


FAULT = SequenceReset()
