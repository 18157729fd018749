# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
"""The lab's first IAM user, made in process: the operator. No root key exists at any time."""

import configparser
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ministack.core import responses
from ministack.services import iam

OPERATOR = "chronos-operator"
# What operators of the real account hold: the services that the runbooks use, nothing else. Like
# in the account itself, an instance of another run is protected by its tag (D3).
OPERATOR_POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Runbooks",
            "Effect": "Allow",
            "Action": [
                *(f"{s}:*" for s in ("s3", "iam", "ssm", "sns", "sqs", "cloudwatch", "budgets")),
                "logs:*",
                "kms:*",
                "lightsail:*",
                "sts:GetCallerIdentity",
            ],
            "Resource": "*",
        },
        {
            "Sid": "OnlyDrillInstancesMayBeStruck",
            "Effect": "Deny",
            "Action": ["lightsail:DeleteInstance", "lightsail:StopInstance"],
            "Resource": "*",
            "Condition": {"Null": {"aws:ResourceTag/chronos:run": "true"}},
        },
    ],
}


async def ensure_operator(folder: Path, account: str, region: str, profile: str) -> None:
    """The operator's user, policy and key; AWS config and credentials files (0600) in `folder`."""
    responses.set_request_account_id("")
    responses.set_request_region(region)
    if iam._users.get(OPERATOR) is None:
        await _call("CreateUser", UserName=OPERATOR)
    document = json.dumps(OPERATOR_POLICY)
    await _call("PutUserPolicy", UserName=OPERATOR, PolicyName="runbooks", PolicyDocument=document)
    key = _written_key(folder / "credentials", profile)
    if key and iam._access_keys.get(key) is not None:
        return
    answer = await _call("CreateAccessKey", UserName=OPERATOR)
    key_id, secret = (_element(answer, name) for name in ("AccessKeyId", "SecretAccessKey"))
    credentials = configparser.ConfigParser()
    credentials[profile] = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
    _write(folder / "credentials", credentials)
    config = configparser.ConfigParser()
    config[f"profile {profile}"] = {"region": region, "output": "json"}
    _write(folder / "config", config)


async def _call(action: str, **arguments: str) -> str:
    """One IAM action, in process."""
    body = urlencode({"Action": action, **arguments}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    status, _headers, answer = await iam.handle_request("POST", "/", headers, body, {})
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    if status != 200:
        raise RuntimeError(f"iam {action}: {status}: {text}")
    return text


def _element(xml: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]+)</{name}>", xml)
    if found is None:
        raise RuntimeError(f"no <{name}> in the emulator's answer")
    return found[1]


def _written_key(path: Path, profile: str) -> str:
    known = configparser.ConfigParser()
    known.read(path)
    return known.get(profile, "aws_access_key_id", fallback="")


def _write(path: Path, content: configparser.ConfigParser) -> None:
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        content.write(out)
    part.replace(path)
