"""The host's key was switched off: nothing gets out any more."""

from chronos_ops.facts.iam import access_keys
from chronos_ops.faults.archiver import wait_for_archiver
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site


class ArchiveKeyRevoked(Fault):
    id = "archive_key_revoked"
    number = 2
    title = "The host's access key is inactive"
    what = "somebody revokes the host's key: .ready files pile up until pg_wal fills the disk"
    finding = "backup.archive.backlog"

    def inject(self, site: Site) -> None:
        self._set(site, "Inactive")

    def undo(self, site: Site) -> None:
        self._set(site, "Active")
        wait_for_archiver(site)

    def _set(self, site: Site, status: str) -> None:
        user = site.settings.backup.host_iam_user
        for key in site.context.ask(access_keys(user)):
            given = {"UserName": user, "AccessKeyId": key.id, "Status": status}
            site.aws.call("iam", "update_access_key", **given)


FAULT = ArchiveKeyRevoked()
