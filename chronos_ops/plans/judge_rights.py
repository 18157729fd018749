"""What could a thief of the host's key do? The least rights, judged from the policies (B1)."""

from fnmatch import fnmatchcase
from typing import Any

from chronos_ops.facts.iam import AccessKey
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.settings import Backup
from chronos_ops.plans.identity import prefixes

# With one of these, deletion is for good, or the protection can be taken off.
FORBIDDEN = (
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "s3:PutBucketAcl",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutLifecycleConfiguration",
    "s3:PutEncryptionConfiguration",
    "s3:BypassGovernanceRetention",
    "iam:CreateAccessKey",
    "iam:PutUserPolicy",
    "ssm:GetParameter",
    "sts:AssumeRole",
    "lightsail:DeleteInstance",
)
_LISTING = ("s3:ListBucket", "s3:ListBucketVersions")


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value or []]


def too_broad(document: dict[str, Any], backup: Backup) -> list[str]:
    """What a policy allows beyond the host's own prefixes, in words."""
    bucket = f"arn:aws:s3:::{backup.bucket}"
    mine = tuple(f"{bucket}/{prefix}/" for prefix in prefixes(backup))
    statements = document.get("Statement", [])
    found: list[str] = []
    for statement in [statements] if isinstance(statements, dict) else statements:
        if statement.get("Effect") != "Allow":
            continue
        if "NotAction" in statement or "NotResource" in statement:
            found.append("allows all but a list (NotAction, NotResource)")
            continue
        actions = _listed(statement.get("Action"))
        resources = _listed(statement.get("Resource"))
        for action in actions:
            granted = [f for f in FORBIDDEN if fnmatchcase(f.lower(), action.lower())]
            if granted:
                found.append(f"{action} grants {', '.join(granted[:4])}")
        listing = all(action in _LISTING for action in actions)
        outside = [
            resource
            for resource in resources
            if not (resource == bucket if listing else resource.startswith(mine))
        ]
        if outside:
            found.append(f"{', '.join(actions)} on {', '.join(outside)}")
        elif listing and not _limited(statement, backup):
            found.append("lists the whole bucket, not only its prefixes")
    return found


def _limited(statement: dict[str, Any], backup: Backup) -> bool:
    conditions = statement.get("Condition", {})
    limits = [
        pattern
        for operator in ("StringLike", "StringEquals")
        for pattern in _listed(conditions.get(operator, {}).get("s3:prefix"))
    ]
    allowed = tuple(f"{prefix}/" for prefix in prefixes(backup))
    return bool(limits) and all(pattern.startswith(allowed) for pattern in limits)


def judge_rights(
    backup: Backup,
    documents: dict[str, dict[str, Any] | None],
    attached: list[str],
    groups: list[str],
) -> Finding:
    """Inline policies by name, names of attached ones, groups: all that grants rights."""
    wrong = [
        f"{name}: {complaint}"
        for name, document in documents.items()
        for complaint in ([] if document is None else too_broad(document, backup))
    ]
    wrong += [f"attached policy {name}" for name in attached]
    wrong += [f"member of group {name}" for name in groups]
    if not any(documents.values()):
        wrong.append("no policy at all: the host can do nothing")
    return judge(
        "backup.rights.least",
        "The host's key can use its own prefixes and nothing else",
        passed=not wrong,
        observed="; ".join(wrong) or f"its own prefixes: {', '.join(prefixes(backup))}",
        expected="list, read, write and delete (never versions) below its prefixes",
        hint=f"take it away from IAM user {backup.host_iam_user}; the stage `host-identity` writes "
        "the least policy",
        requirement="B1",
    )


def judge_keys(backup: Backup, keys: list[AccessKey]) -> Finding:
    """One key works; a second one is a key that somebody else may hold."""
    active = [key.id for key in keys if key.active]
    return judge(
        "backup.rights.one-key",
        "The host's IAM user has one working key",
        passed=len(active) == 1,
        observed=f"{len(active)} active, {len(keys) - len(active)} inactive",
        expected="1 active",
        hint="deactivate the one that is not in /etc/pgbackrest/pgbackrest.conf "
        f"(aws iam update-access-key --user-name {backup.host_iam_user} --status Inactive)",
        requirement="B1",
    )
