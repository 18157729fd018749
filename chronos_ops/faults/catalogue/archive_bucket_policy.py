"""The bucket itself refuses the host."""

import json

from chronos_ops.facts.s3 import policy
from chronos_ops.faults.archiver import wait_for_archiver
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site


class ArchiveBucketPolicy(Fault):
    id = "archive_bucket_policy"
    number = 2
    title = "A bucket policy denies the host's writes"
    what = "a well-meant Deny in the bucket policy: WAL can be read and no longer written"
    finding = "backup.archive.backlog"

    def inject(self, site: Site) -> None:
        backup = site.settings.backup
        before = site.context.ask(policy(backup.bucket))
        site.kept["policy"] = before
        deny = {
            "Sid": "protect-the-archive",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{backup.bucket}{backup.prefix}/archive/*",
        }
        statements = [*(before or {}).get("Statement", []), deny]
        self._put(site, {"Version": "2012-10-17", "Statement": statements})

    def undo(self, site: Site) -> None:
        self._put(site, site.kept["policy"])
        wait_for_archiver(site)

    def _put(self, site: Site, document: dict[str, object]) -> None:
        given = {"Bucket": site.settings.backup.bucket, "Policy": json.dumps(document)}
        site.aws.call("s3", "put_bucket_policy", **given)


FAULT = ArchiveBucketPolicy()
