"""WAL without a base backup restores nothing."""

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.objects import bring_back, delete, keys_below, live, overwrite
from chronos_ops.faults.site import Site


class BaseBackupMissing(Fault):
    id = "base_backup_missing"
    number = 4
    title = "No base backup in the repository in use"
    what = "the repository is as its stanza was created: WAL arrives, no backup was ever taken"
    finding = "backup.repo1.usable"

    def inject(self, site: Site) -> None:
        folder = live(site, "backup")
        bucket = site.settings.backup.bucket
        keys = keys_below(site, f"{folder}/")
        delete(site, [key for key in keys if "/backup.info" not in key])
        for key in (key for key in keys if "/backup.info" in key):
            listed = site.aws.call("s3", "list_object_versions", Bucket=bucket, Prefix=key)
            mine = [version for version in listed["Versions"] if version["Key"] == key]
            first = min(mine, key=lambda version: version["LastModified"])["VersionId"]
            with site.aws.stream(bucket, key, VersionId=first) as chunks:
                overwrite(site, key, b"".join(chunks))

    def undo(self, site: Site) -> None:
        bring_back(site)


FAULT = BaseBackupMissing()
