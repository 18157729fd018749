"""IAM users: their keys and everything that grants them rights."""

import json
from dataclasses import dataclass
from typing import Any

from chronos_ops.model.question import AwsQuestion, Fact

_NO_USER = ("NoSuchEntity",)


def _question(operation: str, user: str, **more: str) -> AwsQuestion:
    return AwsQuestion("iam", operation, {"UserName": user, **more}, absent=_NO_USER)


def user_exists(user: str) -> Fact[bool]:
    """Whether the user exists."""
    return Fact("iam_user", _question("get_user", user), lambda answer: answer is not None)


@dataclass(frozen=True)
class AccessKey:
    """An access key's id (no secret) and status."""

    id: str
    active: bool


def access_keys(user: str) -> Fact[list[AccessKey]]:
    """The user's access keys; at most two can exist."""

    def read(answer: Any) -> list[AccessKey]:
        if answer is None:
            return []
        return [
            AccessKey(item["AccessKeyId"], item["Status"] == "Active")
            for item in answer["AccessKeyMetadata"]
        ]

    return Fact("iam_access_keys", _question("list_access_keys", user), read)


def inline_policy_names(user: str) -> Fact[list[str]]:
    """Names of the user's inline policies."""
    return Fact(
        "iam_inline_policies",
        _question("list_user_policies", user),
        lambda answer: [] if answer is None else list(answer["PolicyNames"]),
    )


def inline_policy(user: str, name: str) -> Fact[dict[str, Any] | None]:
    """The document of one inline policy; None: there is none."""

    def read(answer: Any) -> dict[str, Any] | None:
        if answer is None:
            return None
        document = answer["PolicyDocument"]  # boto3 has decoded it already
        return dict(json.loads(document) if isinstance(document, str) else document)

    return Fact("iam_inline_policy", _question("get_user_policy", user, PolicyName=name), read)


def attached_policies(user: str) -> Fact[list[str]]:
    """Managed policies attached to the user (names)."""
    return Fact(
        "iam_attached_policies",
        _question("list_attached_user_policies", user),
        lambda answer: (
            [] if answer is None else [p["PolicyName"] for p in answer["AttachedPolicies"]]
        ),
    )


def groups(user: str) -> Fact[list[str]]:
    """Groups through which the user may get more rights (names)."""
    return Fact(
        "iam_groups",
        _question("list_groups_for_user", user),
        lambda answer: [] if answer is None else [g["GroupName"] for g in answer["Groups"]],
    )
