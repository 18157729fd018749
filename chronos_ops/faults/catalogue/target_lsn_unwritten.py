"""A position that no WAL has reached yet."""

from chronos_ops.faults.restoring import TargetFault, proof


class TargetLsnUnwritten(TargetFault):
    id = "target_lsn_unwritten"
    title = "A position after the last WAL"
    what = "an LSN of another cluster, or with a digit too many"
    parameters = proof("lsn:FFFF/0")


FAULT = TargetLsnUnwritten()
