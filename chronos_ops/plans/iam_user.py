"""An IAM user of a host: least rights, its key straight to the secret store (B1, M2)."""

import json
from dataclasses import dataclass
from typing import Any

from chronos_ops.facts import iam
from chronos_ops.facts.iam import AccessKey
from chronos_ops.facts.secret_store import secrets
from chronos_ops.model.plan import CallAws, Change, Deed, Plan, RemoveIamUser, RemoveSecret
from chronos_ops.model.question import Fact


@dataclass(frozen=True)
class IamUser:
    """As it is declared. `run_id`: it is a run's own, and goes with it.

    `boundary`: ARN of the policy that limits whatever its own policies grant.
    """

    name: str
    purpose: str
    policy_name: str
    document: dict[str, Any]
    key_secret: str  # with /id and /secret below it
    why: dict[str, str]  # user, policy, key
    policy_title: str = "grant it what it needs and nothing else"
    run_id: str = ""
    boundary: str | None = None

    @property
    def key_id(self) -> str:
        return f"{self.key_secret}/id"

    @property
    def secret(self) -> str:
        return f"{self.key_secret}/secret"


def facts(user: str, policy_name: str, key_secret: str) -> dict[str, Fact[Any]]:
    """What must be known of it."""
    return {
        "exists": iam.user_exists(user),
        "keys": iam.access_keys(user),
        "policy": iam.inline_policy(user, policy_name),
        "secrets": secrets(f"{key_secret}/id", f"{key_secret}/secret"),
    }


def plan(name: str, wanted: IamUser, values: dict[str, Any]) -> Plan:
    """The user, its policy, its key."""
    keys: list[AccessKey] = values["keys"]
    needs_key = not any(k.active for k in keys) or None in values["secrets"].values()
    refusals: tuple[str, ...] = ()
    if needs_key and len(keys) >= 2:
        refusals = (
            (
                f"IAM user {wanted.name} has two access keys and the store lacks the one "
                "in use: delete the one that nobody uses (`aws iam get-access-key-last-used`)"
            ),
        )
    changes = [
        change
        for change in (
            _user(wanted, values),
            _policy(wanted, values["policy"]),
            _key(wanted, keys) if needs_key else None,
        )
        if change is not None
    ]
    return Plan(
        name=name,
        changes=tuple(changes),
        noop_reason="" if changes else f"IAM user {wanted.name} is as declared",
        refusals=refusals,
    )


def _iam(operation: str, user: str, **arguments: Any) -> CallAws:
    return CallAws(service="iam", operation=operation, arguments={"UserName": user, **arguments})


def _undo(wanted: IamUser) -> tuple[Deed, ...]:
    if not wanted.run_id:
        return (
            _iam("delete_user_policy", wanted.name, PolicyName=wanted.policy_name),
        )  # takes every right away; the user itself stays for whoever asks what it did
    return (
        RemoveIamUser(name=wanted.name, run_id=wanted.run_id),
        RemoveSecret(name=wanted.key_id, run_id=wanted.run_id),
        RemoveSecret(name=wanted.secret, run_id=wanted.run_id),
    )


def _user(wanted: IamUser, values: dict[str, Any]) -> Change | None:
    if values["exists"]:
        return None
    tags = [{"Key": "chronos:purpose", "Value": wanted.purpose}]
    if wanted.run_id:
        tags.append({"Key": "chronos:run", "Value": wanted.run_id})
    limited = {"PermissionsBoundary": wanted.boundary} if wanted.boundary else {}
    return Change(
        id="iam.user",
        title=f"create the IAM user {wanted.name}",
        why=wanted.why["user"],
        deeds=(_iam("create_user", wanted.name, Tags=tags, **limited),),
        undo=_undo(wanted),
        after=f"iam user {wanted.name}",
        creates=f"iam:user/{wanted.name}",
    )


def _policy(wanted: IamUser, former: dict[str, Any] | None) -> Change | None:
    if former == wanted.document:
        return None
    name = wanted.policy_name
    back = (
        _iam("delete_user_policy", wanted.name, PolicyName=name)
        if former is None
        else _put_policy(wanted.name, name, former)
    )
    return Change(
        id="iam.policy",
        title=wanted.policy_title,
        why=wanted.why["policy"],
        deeds=(_put_policy(wanted.name, name, wanted.document),),
        undo=(back,),
        before=json.dumps(former, indent=2) if former else "",
        after=json.dumps(wanted.document, indent=2),
    )


def _put_policy(user: str, name: str, document: dict[str, Any]) -> CallAws:
    return _iam("put_user_policy", user, PolicyName=name, PolicyDocument=json.dumps(document))


def _key(wanted: IamUser, keys: list[AccessKey]) -> Change:
    return Change(
        id="iam.access-key",
        title="create its access key; id and secret go straight to the secret store",
        why=wanted.why["key"],
        deeds=(
            CallAws(
                service="iam",
                operation="create_access_key",
                arguments={"UserName": wanted.name},
                store_secret={
                    wanted.key_id: "AccessKey.AccessKeyId",
                    wanted.secret: "AccessKey.SecretAccessKey",
                },
            ),
        ),
        undo=_undo(wanted),
        before="\n".join(f"{k.id} ({'active' if k.active else 'inactive'})" for k in keys),
        after=f"a new key, kept as {wanted.key_secret}/*",
    )
