"""A transaction that has not been."""

from chronos_ops.faults.restoring import TargetFault, proof


class TargetXidFuture(TargetFault):
    id = "target_xid_future"
    title = "A transaction id that nobody has had yet"
    what = "an id read off another server, or with a digit too many"
    parameters = proof("xid:4000000000")


FAULT = TargetXidFuture()
