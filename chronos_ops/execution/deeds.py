"""How each deed is done: one function per kind. Removals refuse what this run did not make (D3)."""

import base64
import re
import secrets
from collections.abc import Callable
from typing import Any

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.power import lead, start_instance
from chronos_ops.execution.provision import destroy
from chronos_ops.model.errors import ChronosError, Refused, UsageError
from chronos_ops.model.plan import (
    CallAws,
    Deed,
    DestroyInstance,
    EmptyPrefix,
    LeadStaticIp,
    PutSecret,
    RemoveFile,
    RemoveIamUser,
    RemoveSecret,
    ReviveKey,
    RunCommand,
    RunSql,
    StartInstance,
    WriteFile,
)
from chronos_ops.model.secret import Secret

_PLACEHOLDER = re.compile(r"@\{secret:([^}]+)\}")
GONE = ("NoSuchEntity", "NoSuchBucket", "ParameterNotFound", "NotFoundException", "NoSuchKey")
KeepSecret = Callable[[Secret], None]


class Doer:
    """Does deeds through the connectors. `ssh` may be absent where no deed needs a host."""

    def __init__(self, aws: Aws, ssh: Ssh | None, keep_secret: KeepSecret) -> None:
        self.aws = aws
        self._ssh = ssh
        self.keep_secret = keep_secret

    @property
    def ssh(self) -> Ssh:
        if self._ssh is None:
            raise UsageError("a deed needs a host", hint="give the connection of the host")
        return self._ssh

    def do(self, deed: Deed) -> None:
        """Carry out one deed. Raises what its connector raises; Refused by a guard."""
        match deed:
            case RunCommand():
                stdin: str | Secret = deed.stdin
                if deed.stdin_secret:
                    stdin = self.secret(deed.stdin_secret)
                self.ssh.run(
                    deed.argv,
                    sudo=deed.sudo,
                    user=deed.user,
                    stdin=stdin,
                    accept=deed.accept,
                    timeout=deed.timeout_seconds,
                )
            case WriteFile():
                content = self.filled(deed.content)
                self.ssh.put(deed.path, content, owner=deed.owner, group=deed.group, mode=deed.mode)
            case RemoveFile():
                self.ssh.run(["rm", "-f", "--", deed.path], sudo=True)
            case RunSql():
                self.ssh.sql(self.filled(deed.sql), deed.database)
            case CallAws():
                self._call_aws(deed)
            case PutSecret():
                self._put_secret(deed.name)
            case _:
                self.remove(deed)

    def remove(self, deed: Deed) -> None:
        """Remove a resource of a run; nothing to remove is no error."""
        match deed:
            case DestroyInstance():
                destroy(self.aws, deed.name, deed.run_id)
            case EmptyPrefix():
                _guard(deed.prefix, deed.run_id, "S3 prefix")
                empty_prefix(self.aws, deed.bucket, deed.prefix)
            case RemoveIamUser():
                _guard(deed.name, deed.run_id, "IAM user")
                remove_iam_user(self.aws, deed.name)
            case LeadStaticIp():
                lead(self.aws, deed.name, deed.instance, deed.run_id)
            case ReviveKey():
                revive_key(self.aws, deed.user, deed.ending)
            case StartInstance():
                start_instance(self.aws, deed.name)
            case RemoveSecret():
                _guard(deed.name, deed.run_id, "secret")
                gone_ok(lambda: self.aws.call("ssm", "delete_parameter", Name=deed.name))
            case _:
                raise ChronosError("not a removal", deed.kind)

    # -- secrets

    def secret(self, name: str) -> Secret:
        """A secret by name, known to the redactor from now on (R5)."""
        value = self.aws.get_secret(name)
        self.keep_secret(value)
        return value

    def filled(self, text: str) -> Secret | str:
        """`text` with `@{secret:NAME}` filled in; a Secret if anything was."""
        if not _PLACEHOLDER.search(text):
            return text
        return Secret(_PLACEHOLDER.sub(lambda m: self.secret(m[1]).reveal(), text))

    def _put_secret(self, name: str) -> None:
        if self.aws.ask_secret_exists(name):
            return
        value = Secret(base64.b64encode(secrets.token_bytes(32)).decode())
        self.keep_secret(value)
        self.aws.put_secret(name, value)

    def _call_aws(self, deed: CallAws) -> None:
        arguments = self._fill_arguments(dict(deed.arguments))
        if deed.operation.lower().startswith("delete"):  # killed before it was made, or after that
            gone_ok(lambda: self.aws.call(deed.service, deed.operation, **arguments))
            return
        response = self.aws.call(deed.service, deed.operation, **arguments)
        for name, path in deed.store_secret.items():
            value: Any = response
            for part in path.split("."):
                value = value[part]
            secret = Secret(str(value))
            self.keep_secret(secret)
            self.aws.put_secret(name, secret, overwrite=True)

    def _fill_arguments(self, value: Any) -> Any:
        match value:
            case str():
                filled = self.filled(value)
                return filled.reveal() if isinstance(filled, Secret) else filled
            case dict():
                return {key: self._fill_arguments(item) for key, item in value.items()}
            case list() | tuple():
                return [self._fill_arguments(item) for item in value]
            case _:
                return value


def _guard(name: str, run_id: str, noun: str) -> None:
    if not run_id or run_id not in name:
        raise Refused(f"this {noun} was not made by run {run_id!r}", name)


def gone_ok(call: Callable[[], object]) -> None:
    """Do a removal; that the thing is already gone is no error."""
    try:
        call()
    except AwsRefused as error:
        if error.code not in GONE:
            raise


def prefix_versions(aws: Aws, bucket: str, prefix: str) -> list[dict[str, str]]:
    """Key and VersionId of every object, version and delete marker below a prefix."""
    found: list[dict[str, str]] = []
    marker: dict[str, str] = {}
    while True:
        page = aws.call("s3", "list_object_versions", Bucket=bucket, Prefix=prefix, **marker)
        items = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        found += [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in items]
        if not page.get("IsTruncated"):
            return found
        marker = {"KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            marker["VersionIdMarker"] = page["NextVersionIdMarker"]


def empty_prefix(aws: Aws, bucket: str, prefix: str) -> None:
    """Delete everything below a prefix, all versions. Raises ChronosError if something stays."""
    prefix = prefix.lstrip("/")
    try:
        found = prefix_versions(aws, bucket, prefix)
    except AwsRefused as error:
        if error.code in GONE:
            return
        raise
    for start in range(0, len(found), 1000):
        batch = found[start : start + 1000]
        answer = aws.call(
            "s3", "delete_objects", Bucket=bucket, Delete={"Objects": batch, "Quiet": True}
        )
        if answer.get("Errors"):
            raise ChronosError(f"objects below {bucket}/{prefix} stayed", answer["Errors"][:3])


def revive_key(aws: Aws, user: str, ending: str) -> None:
    """Make an IAM user's key active again, named by the end of its id."""

    def revive() -> None:
        for key in aws.call("iam", "list_access_keys", UserName=user)["AccessKeyMetadata"]:
            if key["AccessKeyId"].endswith(ending):
                which = {"UserName": user, "AccessKeyId": key["AccessKeyId"]}
                aws.call("iam", "update_access_key", Status="Active", **which)

    gone_ok(revive)


def remove_iam_user(aws: Aws, name: str) -> None:
    """Remove an IAM user with its keys and inline policies."""

    def all_of_it() -> None:
        for key in aws.call("iam", "list_access_keys", UserName=name)["AccessKeyMetadata"]:
            aws.call("iam", "delete_access_key", UserName=name, AccessKeyId=key["AccessKeyId"])
        for policy in aws.call("iam", "list_user_policies", UserName=name)["PolicyNames"]:
            aws.call("iam", "delete_user_policy", UserName=name, PolicyName=policy)
        aws.call("iam", "delete_user", UserName=name)

    gone_ok(all_of_it)
