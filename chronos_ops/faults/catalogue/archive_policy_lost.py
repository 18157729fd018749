"""The host's user is there, its key works, and it may do nothing."""

from chronos_ops.faults.archiver import wait_for_archiver
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site
from chronos_ops.plans.identity import IAM_USER, POLICY_NAME


class ArchivePolicyLost(Fault):
    id = "archive_policy_lost"
    number = 2
    title = "The host's policy is gone"
    what = "a tidied-up IAM user: the key signs, and every request is denied"
    finding = "backup.rights.least"

    def inject(self, site: Site) -> None:
        user = site.settings.backup.host_iam_user
        given = {"UserName": user, "PolicyName": POLICY_NAME}
        site.aws.call("iam", "delete_user_policy", **given)

    def undo(self, site: Site) -> None:
        site.mend(IAM_USER)
        wait_for_archiver(site)


FAULT = ArchivePolicyLost()
