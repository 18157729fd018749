"""The least that scheduled drills need in the account: two IAM policies, generated (P1).

`identity`: of the user whose key the scheduler holds (`chronos-drill`). `boundary`: the most that
a user which a drill makes can ever do; without it, whoever may write such users' policies may do
anything. Actions, resources and condition keys: Service Authorization Reference, Lightsail, IAM,
S3, Systems Manager. `mode=recover` needs an operator, not this identity.
"""

from typing import Any

from chronos_ops.model.errors import UsageError
from chronos_ops.model.instance import RUN_TAG, TARGET_TAG
from chronos_ops.model.settings import Settings
from chronos_ops.plans.archive_rights import archive_statements
from chronos_ops.plans.identity import prefixes

DRILL_PREFIX = "drills"  # below it, a drill's own repository (S3) and secrets (SSM)
SIZE_LIMIT = 6144  # characters of a managed policy, white space not counted (IAM quotas)
_LOOK = (
    "GetBundles",
    "GetInstance",
    "GetInstances",
    "GetInstancePortStates",
    "GetInstanceSnapshots",
    "GetOperation",
    "GetStaticIps",
)
_TOUCH = ("DeleteInstance", "GetInstanceAccessDetails", "PutInstancePublicPorts")
_NEVER: tuple[str, ...] = (*_TOUCH, "StopInstance", "TagResource", "UntagResource")

Statement = dict[str, Any]


def identity_document(settings: Settings, untouchable: list[str]) -> dict[str, Any]:
    """Of the scheduler's identity. `untouchable`: ARNs of every instance that no run made.

    A tag can be put on what is there, so tags alone protect nothing: an instance that is made
    later needs the policy anew. Raises UsageError: no permissions boundary, or another account's;
    no `known_hosts_file` (GetInstanceAccessDetails, asked instead, lets its caller in).
    """
    _check(settings)
    return _document(
        *_lightsail(settings, untouchable),
        *_users(settings),
        *_secrets(settings),
        *_repositories(settings),
        *(archive_statements(settings.archive) if settings.archive else ()),
    )


def _check(settings: Settings) -> None:
    if settings.drill.permissions_boundary is None:
        raise UsageError(
            "no permissions boundary is declared",
            "drill.permissions_boundary",
            hint="make one from `./chronos policy boundary`, and write its ARN there: without it, "
            "this identity could give any right to a user that it makes",
        )
    account = settings.drill.permissions_boundary.split(":")[4]
    if account != settings.aws.account_id:
        raise UsageError(
            "the permissions boundary is of another account",
            f"{account}, expected {settings.aws.account_id}",
        )
    if settings.host.known_hosts_file is None:
        raise UsageError(
            "the declared host's keys are not pinned",
            "host.known_hosts_file",
            hint="write them to a file and name it there: asking Lightsail for them gives a "
            "temporary login to the host as well, which a scheduler must not have",
        )


def boundary_document(settings: Settings) -> dict[str, Any]:
    """Of every user that a drill makes: its own repository, and reading the declared one."""
    bucket = f"arn:aws:s3:::{settings.backup.bucket}"
    return _document(
        _list(settings),
        _allow(("s3:DeleteObject", "s3:GetObject", "s3:PutObject"), f"{bucket}/{DRILL_PREFIX}/*"),
        _allow(("s3:GetObject", "s3:GetObjectVersion"), _objects(settings)),
    )


def _document(*statements: Statement) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(
    actions: tuple[str, ...], resource: str | list[str], condition: dict[str, Any] | None = None
) -> Statement:
    found: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return found | ({"Condition": condition} if condition else {})


def _named(prefix: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{prefix}{name}" for name in names)


def _lightsail(settings: Settings, untouchable: list[str]) -> list[Statement]:
    """Instances by their tags alone. A key pair has none: any may be imported or deleted."""
    made = "CreateInstancesFromSnapshot" if settings.drill.from_snapshot else "CreateInstances"
    statements = [
        _allow((*_named("lightsail:", _LOOK), "sts:GetCallerIdentity"), "*"),
        _allow(_named("lightsail:", ("DeleteKeyPair", "ImportKeyPair")), "*"),
        # Lightsail asks for TagResource too where something is made with tags.
        _allow(
            _named("lightsail:", (made, "TagResource")), "*", _tagged("aws:RequestTag", settings)
        ),
        _allow(_named("lightsail:", _TOUCH), "*", _tagged("aws:ResourceTag", settings)),
    ]
    denied = {"Effect": "Deny", "Action": list(_named("lightsail:", _NEVER))}
    return [*statements, {**denied, "Resource": untouchable}]


def _tagged(key: str, settings: Settings) -> dict[str, Any]:
    return {
        "Null": {f"{key}/{RUN_TAG}": "false"},
        "StringEquals": {f"{key}/{TARGET_TAG}": settings.target},
    }


def _users(settings: Settings) -> list[Statement]:
    """Users that carry a run's id (it begins with the year) and the boundary."""
    home = f"arn:aws:iam::{settings.aws.account_id}:user"
    own = [f"{home}/chronos-drill-20*", f"{home}/chronos-reader-20*"]
    bounded = {"StringEquals": {"iam:PermissionsBoundary": settings.drill.permissions_boundary}}
    look = ("GetUser", "GetUserPolicy", "ListAccessKeys", "ListUserPolicies")
    remove = ("CreateAccessKey", "DeleteAccessKey", "DeleteUser", "DeleteUserPolicy", "TagUser")
    return [
        _allow(_named("iam:", ("CreateUser", "PutUserPolicy")), own, bounded),
        _allow(_named("iam:", remove), own),
        _allow(_named("iam:", look), [*own, f"{home}/{settings.backup.host_iam_user}"]),
    ]


def _secrets(settings: Settings) -> list[Statement]:
    home = f"arn:aws:ssm:{settings.aws.region}:{settings.aws.account_id}:parameter"
    own = f"{home}/chronos/{DRILL_PREFIX}/*"
    named = (settings.backup.cipher_secret, settings.postgres.operator_password_secret)
    return [
        _allow(("ssm:DescribeParameters",), "*"),
        _allow(_named("ssm:", ("DeleteParameter", "GetParameter", "PutParameter")), own),
        _allow(("ssm:GetParameter",), [f"{home}/{name.lstrip('/')}" for name in named]),
    ]


def _repositories(settings: Settings) -> list[Statement]:
    """Every repository read; only a drill's own emptied again, with its versions."""
    bucket = f"arn:aws:s3:::{settings.backup.bucket}"
    drills, thaw = f"{bucket}/{DRILL_PREFIX}/*", settings.backup.long_term is not None
    read = ("s3:GetObject", "s3:GetObjectVersion") + ("s3:RestoreObject",) * thaw
    return [
        _allow(("s3:GetBucketLocation",), bucket),
        _list(settings),
        _allow(read, [drills, *_objects(settings)]),
        _allow(("s3:DeleteObject", "s3:DeleteObjectVersion"), drills),
    ]


def _list(settings: Settings) -> Statement:
    below = [f"{prefix}/*" for prefix in (DRILL_PREFIX, *prefixes(settings.backup))]
    return _allow(
        ("s3:ListBucket", "s3:ListBucketVersions"),
        f"arn:aws:s3:::{settings.backup.bucket}",
        {"StringLike": {"s3:prefix": below}},
    )


def _objects(settings: Settings) -> list[str]:
    bucket = f"arn:aws:s3:::{settings.backup.bucket}"
    return [f"{bucket}/{prefix}/*" for prefix in prefixes(settings.backup)]
