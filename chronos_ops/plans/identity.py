"""Who a host is to S3: an IAM user with the least rights, its key in the secret store (B1)."""

import json
from typing import Any

from chronos_ops.facts import iam
from chronos_ops.facts.iam import AccessKey
from chronos_ops.facts.secret_store import secrets
from chronos_ops.model.plan import CallAws, Change, Deed, Plan, RemoveIamUser, RemoveSecret
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Backup, Settings
from chronos_ops.model.stage import Stage

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
    user = backup.host_iam_user
    return {
        "exists": iam.user_exists(user),
        "keys": iam.access_keys(user),
        "policy": iam.inline_policy(user, POLICY_NAME),
        "secrets": secrets(key_id_secret(backup), key_secret(backup)),
    }


def plan(
    settings: Settings, values: dict[str, Any], *, read_only: bool = False, run_id: str = ""
) -> Plan:
    """The user, its policy, its key.

    `read_only`: for a drill host. `run_id`: the user is a run's own (its name holds the id), and
    the undo removes it with its secrets.
    """
    backup = settings.backup
    keys: list[AccessKey] = values["keys"]
    needs_key = not any(k.active for k in keys) or None in values["secrets"].values()
    refusals: tuple[str, ...] = ()
    if needs_key and len(keys) >= 2:
        refusals = (
            (
                f"IAM user {backup.host_iam_user} has two access keys and the store lacks the one "
                "in use: delete the one that nobody uses (`aws iam get-access-key-last-used`)"
            ),
        )
    changes = [
        change
        for change in (
            _user(backup, values, run_id),
            _policy(backup, values, read_only),
            _key(backup, keys, run_id) if needs_key else None,
        )
        if change is not None
    ]
    return Plan(
        name="host-identity",
        changes=tuple(changes),
        noop_reason="" if changes else f"IAM user {backup.host_iam_user} is as declared",
        refusals=refusals,
    )


def _iam(operation: str, user: str, **arguments: Any) -> CallAws:
    return CallAws(service="iam", operation=operation, arguments={"UserName": user, **arguments})


def _undo(backup: Backup, run_id: str) -> tuple[Deed, ...]:
    if not run_id:
        return (
            _iam("delete_user_policy", backup.host_iam_user, PolicyName=POLICY_NAME),
        )  # takes every right away; the user itself stays for whoever asks what it did
    return (
        RemoveIamUser(name=backup.host_iam_user, run_id=run_id),
        RemoveSecret(name=key_id_secret(backup), run_id=run_id),
        RemoveSecret(name=key_secret(backup), run_id=run_id),
    )


def _user(backup: Backup, values: dict[str, Any], run_id: str) -> Change | None:
    if values["exists"]:
        return None
    tags = [{"Key": "chronos:purpose", "Value": "backup"}]
    if run_id:
        tags.append({"Key": "chronos:run", "Value": run_id})
    return Change(
        id="iam.user",
        title=f"create the IAM user {backup.host_iam_user}",
        why="the host writes backups with a key of its own, not with an operator's (B1)",
        deeds=(_iam("create_user", backup.host_iam_user, Tags=tags),),
        undo=_undo(backup, run_id),
        after=f"iam user {backup.host_iam_user}",
        creates=f"iam:user/{backup.host_iam_user}",
    )


def _policy(backup: Backup, values: dict[str, Any], read_only: bool) -> Change | None:
    wanted = policy_document(backup, read_only=read_only)
    if values["policy"] == wanted:
        return None
    return Change(
        id="iam.policy",
        title="grant it its own prefixes and nothing else" + (" (read only)" if read_only else ""),
        why="a thief of the key must not delete versions, the bucket, or another's data (B1)",
        deeds=(
            _iam(
                "put_user_policy",
                backup.host_iam_user,
                PolicyName=POLICY_NAME,
                PolicyDocument=json.dumps(wanted),
            ),
        ),
        undo=(_iam("delete_user_policy", backup.host_iam_user, PolicyName=POLICY_NAME),)
        if values["policy"] is None
        else (
            _iam(
                "put_user_policy",
                backup.host_iam_user,
                PolicyName=POLICY_NAME,
                PolicyDocument=json.dumps(values["policy"]),
            ),
        ),
        before=json.dumps(values["policy"], indent=2) if values["policy"] else "",
        after=json.dumps(wanted, indent=2),
    )


def _key(backup: Backup, keys: list[AccessKey], run_id: str) -> Change:
    return Change(
        id="iam.access-key",
        title="create its access key; id and secret go straight to the secret store",
        why="pgBackRest needs a long-lived key (repo-s3-key-type=shared); nobody sees it (B1, R5)",
        deeds=(
            CallAws(
                service="iam",
                operation="create_access_key",
                arguments={"UserName": backup.host_iam_user},
                store_secret={
                    key_id_secret(backup): "AccessKey.AccessKeyId",
                    key_secret(backup): "AccessKey.SecretAccessKey",
                },
            ),
        ),
        undo=_undo(backup, run_id),
        before="\n".join(f"{k.id} ({'active' if k.active else 'inactive'})" for k in keys),
        after=f"a new key, kept as {backup.host_key_secret}/*",
    )


IAM_USER = Stage("host-identity", facts, plan)
