"""Nothing older than the oldest backup can be restored."""

from chronos_ops.faults.restoring import TargetFault, proof


class TargetBeforeFirstBackup(TargetFault):
    id = "target_before_first_backup"
    title = "A moment before the first backup"
    what = "the loss was seen too late: the retention has gone past it"
    parameters = proof("time:2001-02-03T04:05:06Z")


FAULT = TargetBeforeFirstBackup()
