"""From now on a deletion is for good."""

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site


class VersioningSuspended(Fault):
    id = "versioning_suspended"
    number = 10
    title = "The bucket's versioning is suspended"
    what = "to save a few cents, versions are kept no more: a thief's deletion is for good"
    finding = "stage.s3-bucket.as-declared"

    def inject(self, site: Site) -> None:
        self._set(site, "Suspended")

    def undo(self, site: Site) -> None:
        self._set(site, "Enabled")

    def _set(self, site: Site, status: str) -> None:
        given = {
            "Bucket": site.settings.backup.bucket,
            "VersioningConfiguration": {"Status": status},
        }
        site.aws.call("s3", "put_bucket_versioning", **given)


FAULT = VersioningSuspended()
