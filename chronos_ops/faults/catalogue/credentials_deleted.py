"""The key on the host exists no more."""

from chronos_ops.facts.iam import access_keys
from chronos_ops.faults.archiver import wait_for_archiver
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site
from chronos_ops.plans.identity import IAM_USER
from chronos_ops.plans.pgbackrest_config import PGBACKREST_CONFIG


class CredentialsDeleted(Fault):
    id = "credentials_deleted"
    number = 10
    title = "The host's access key is deleted"
    what = "the key expired or was rotated away: what the host holds is nobody's"
    finding = "backup.rights.one-key"

    def inject(self, site: Site) -> None:
        user = site.settings.backup.host_iam_user
        for key in site.context.ask(access_keys(user)):
            site.aws.call("iam", "delete_access_key", UserName=user, AccessKeyId=key.id)

    def undo(self, site: Site) -> None:
        site.mend(IAM_USER, PGBACKREST_CONFIG)
        wait_for_archiver(site)


FAULT = CredentialsDeleted()
