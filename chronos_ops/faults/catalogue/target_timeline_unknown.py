"""A timeline that is not archived."""

from chronos_ops.faults.restoring import TargetFault, proof


class TargetTimelineUnknown(TargetFault):
    id = "target_timeline_unknown"
    title = "A timeline that is not there"
    what = "a timeline read off a standby that has archived nothing"
    parameters = proof("latest timeline:7")


FAULT = TargetTimelineUnknown()
