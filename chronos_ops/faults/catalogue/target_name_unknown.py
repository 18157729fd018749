"""A restore point that nobody made."""

from chronos_ops.faults.restoring import TargetFault, proof


class TargetNameUnknown(TargetFault):
    id = "target_name_unknown"
    title = "A restore point that was never created"
    what = "the release script was to create it, and did not"
    parameters = proof("name:before_the_release")


FAULT = TargetNameUnknown()
