"""Who steals the host's key may delete everything for good."""

import json

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site

_ALL = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
_NAME = "convenience"


class RightsTooBroad(Fault):
    id = "rights_too_broad"
    number = 10
    title = "The host's user may do everything in S3"
    what = "a second policy with s3:*, given one evening to make something work"
    finding = "backup.rights.least"

    def inject(self, site: Site) -> None:
        given = {"UserName": site.settings.backup.host_iam_user, "PolicyName": _NAME}
        site.aws.call("iam", "put_user_policy", **given, PolicyDocument=json.dumps(_ALL))

    def undo(self, site: Site) -> None:
        given = {"UserName": site.settings.backup.host_iam_user, "PolicyName": _NAME}
        site.aws.call("iam", "delete_user_policy", **given)


FAULT = RightsTooBroad()
