"""One wall-clock time, two moments an hour apart."""

from chronos_ops.faults.restoring import TargetFault, proof


class TargetDstTwice(TargetFault):
    id = "target_dst_twice"
    title = "A time in the hour that the clocks showed twice"
    what = "the night in autumn: 02:30 by the clock on the wall, and which of the two is not said"
    parameters = proof("time:2025-10-26 02:30 Europe/Berlin")
    finding = "drill.target.one-moment"


FAULT = TargetDstTwice()
