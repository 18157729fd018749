"""Callers of the lab's AWS with keys of a test's choosing."""

import configparser
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chronos_ops.connectors.aws import Aws, Identity
from chronos_ops.model.settings import Aws as AwsSettings


def with_key(settings: AwsSettings, key_id: str, secret: str, folder: Path) -> Aws:
    """A caller whose account is not checked first, so that each service answers for itself."""
    credentials = configparser.ConfigParser()
    credentials[settings.profile] = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
    path = folder / f"credentials-{key_id}"
    with path.open("w", encoding="utf-8") as out:
        credentials.write(out)
    aws = Aws(settings.model_copy(update={"credentials_file": str(path)}))
    aws._identity = Identity(settings.account_id, "", "")
    return aws


def operator_key(settings: AwsSettings) -> tuple[str, str]:
    known = configparser.ConfigParser()
    known.read(str(settings.credentials_file))
    section = known[settings.profile]
    return section["aws_access_key_id"], section["aws_secret_access_key"]


@contextmanager
def iam_user(aws: Aws, name: str, statements: list[dict[str, Any]], folder: Path) -> Iterator[Aws]:
    """A user with these statements as its policy; gone afterwards."""
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    aws.call("iam", "create_user", UserName=name)
    aws.call("iam", "put_user_policy", UserName=name, PolicyName="p", PolicyDocument=document)
    key = aws.call("iam", "create_access_key", UserName=name)["AccessKey"]
    caller = with_key(aws.settings, key["AccessKeyId"], key["SecretAccessKey"], folder)
    try:
        yield caller
    finally:
        caller.close()
        aws.call("iam", "delete_access_key", UserName=name, AccessKeyId=key["AccessKeyId"])
        aws.call("iam", "delete_user_policy", UserName=name, PolicyName="p")
        aws.call("iam", "delete_user", UserName=name)
