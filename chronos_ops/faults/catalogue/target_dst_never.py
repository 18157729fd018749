"""A wall-clock time that no clock there has shown."""

from chronos_ops.faults.restoring import TargetFault, proof


class TargetDstNever(TargetFault):
    id = "target_dst_never"
    title = "A time in the hour that the clocks left out"
    what = "the night in spring: a job due at 02:30 by the plan, and no clock showed that time"
    parameters = proof("time:2026-03-29 02:30 Europe/Berlin")
    finding = "drill.target.one-moment"


FAULT = TargetDstNever()
