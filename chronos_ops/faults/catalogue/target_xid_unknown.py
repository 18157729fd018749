"""A transaction from before the first backup: initdb's own."""

from chronos_ops.faults.restoring import TargetFault, proof


class TargetXidUnknown(TargetFault):
    id = "target_xid_unknown"
    title = "A transaction id that is not in the archive"
    what = "an id from before the first backup, or of one that wrote nothing"
    parameters = proof("xid:3")


FAULT = TargetXidUnknown()
