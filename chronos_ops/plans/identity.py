"""Who a host is to S3: an IAM user with the least rights, its key in the secret store (B1)."""

from typing import Any

from chronos_ops.model.plan import Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Backup, Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans import iam_user
from chronos_ops.plans.iam_user import IamUser

POLICY_NAME = "chronos-backup"
_READ = ("s3:GetObject",)
_WRITE = ("s3:DeleteObject", "s3:GetObject", "s3:PutObject")
# With these a drill host can read a repository as it was before a deletion (repo-target-time).
_READ_VERSIONS = ("s3:GetObject", "s3:GetObjectVersion")


def key_id_secret(backup: Backup) -> str:
    """Where the access key's id is kept."""
    return f"{backup.host_key_secret}/id"


def key_secret(backup: Backup) -> str:
    """Where the access key's secret is kept."""
    return f"{backup.host_key_secret}/secret"


def prefixes(backup: Backup) -> list[str]:
    """The S3 prefixes of the repositories, without slashes at their ends."""
    found = [backup.prefix.strip("/")]
    if backup.long_term is not None:
        found.append(backup.long_term_prefix.strip("/"))
    return found


def policy_document(backup: Backup, *, read_only: bool = False) -> dict[str, Any]:
    """List and use the own prefixes; no deletion of versions, no rights over the bucket itself."""
    arn = f"arn:aws:s3:::{backup.bucket}"
    listing = ["s3:ListBucket", "s3:ListBucketVersions"] if read_only else ["s3:ListBucket"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "ListOwnPrefixes",
                "Effect": "Allow",
                "Action": listing,
                "Resource": arn,
                "Condition": {"StringLike": {"s3:prefix": [f"{p}/*" for p in prefixes(backup)]}},
            },
            {
                "Sid": "UseOwnPrefixes",
                "Effect": "Allow",
                "Action": list(_READ_VERSIONS if read_only else _WRITE),
                "Resource": [f"{arn}/{p}/*" for p in prefixes(backup)],
            },
        ],
    }


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What must be known of the host's IAM user."""
    backup = settings.backup
    return iam_user.facts(backup.host_iam_user, POLICY_NAME, backup.host_key_secret)


def plan(
    settings: Settings, values: dict[str, Any], *, read_only: bool = False, run_id: str = ""
) -> Plan:
    """The user, its policy, its key.

    `read_only`: for a drill host. `run_id`: the user is a run's own (its name holds the id), and
    the undo removes it with its secrets.
    """
    backup = settings.backup
    own = "grant it its own prefixes and nothing else"
    wanted = IamUser(
        name=backup.host_iam_user,
        purpose="backup",
        policy_name=POLICY_NAME,
        document=policy_document(backup, read_only=read_only),
        key_secret=backup.host_key_secret,
        policy_title=own + (" (read only)" if read_only else ""),
        run_id=run_id,
        boundary=settings.drill.permissions_boundary if run_id else None,
        why={
            "user": "the host writes backups with a key of its own, not with an operator's (B1)",
            "policy": "a thief of the key must not delete versions, the bucket, or another's data "
            "(B1)",
            "key": "pgBackRest needs a long-lived key (repo-s3-key-type=shared); nobody sees it "
            "(B1, R5)",
        },
    )
    return iam_user.plan("host-identity", wanted, values)


IAM_USER = Stage("host-identity", facts, plan)
