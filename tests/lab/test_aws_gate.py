"""The lab's AWS lets nobody in whom AWS would not."""

import os
import signal
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.execution.deeds import empty_prefix
from chronos_ops.lab import aws as lab_aws
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import load_settings
from tests.lab.aws_callers import iam_user, operator_key, with_key

CALLS: list[tuple[str, str]] = [
    ("lightsail", "get_instances"),
    ("s3", "list_buckets"),
    ("iam", "list_users"),
    ("sts", "get_caller_identity"),
    ("ssm", "describe_parameters"),
    ("sns", "list_topics"),
    ("cloudwatch", "list_dashboards"),
]
WRONG_SIGNATURE = {"SignatureDoesNotMatch", "InvalidSignatureException"}
UNKNOWN = {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"}


@pytest.fixture(scope="module")
def aws(lab: LabStatus) -> Aws:
    return Aws(load_settings(lab.name).aws)


@pytest.mark.parametrize(("service", "operation"), CALLS)
@pytest.mark.parametrize("key_id", ["test", "123456789012", "own account", "AKIAIOSFODNN7EXAMPLE"])
def test_an_emulator_s_backdoor_keys_are_unknown(
    aws: Aws, service: str, operation: str, key_id: str, tmp_path: Path
) -> None:
    if key_id == "own account":
        key_id = aws.settings.account_id
    for secret in ("test", "x"):
        caller = with_key(aws.settings, key_id, secret, tmp_path)
        with pytest.raises(AwsRefused) as caught:
            caller.call(service, operation)
        caller.close()
        assert caught.value.code in UNKNOWN


@pytest.mark.parametrize(("service", "operation"), CALLS)
def test_a_known_key_with_a_wrong_secret_is_refused(
    aws: Aws, service: str, operation: str, tmp_path: Path
) -> None:
    key_id, _ = operator_key(aws.settings)
    caller = with_key(aws.settings, key_id, "wrong", tmp_path)
    with pytest.raises(AwsRefused) as caught:
        caller.call(service, operation)
    caller.close()
    assert caught.value.code in WRONG_SIGNATURE


def test_a_deactivated_key_is_refused(aws: Aws, tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Action": "lightsail:*", "Resource": "*"}
    with iam_user(aws, "short-lived", [statement], tmp_path) as caller:
        assert "instances" in caller.call("lightsail", "get_instances")
        key_id = operator_key(caller.settings)[0]
        aws.call(
            "iam",
            "update_access_key",
            UserName="short-lived",
            AccessKeyId=key_id,
            Status="Inactive",
        )
        with pytest.raises(AwsRefused) as caught:
            caller.call("lightsail", "get_instances")
        assert caught.value.code in UNKNOWN


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/project-chronos-backups",
        "/_ministack/reset",
        "/_ministack/config",
        "/_aws/x",
        "/health",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_signature_nothing_is_served(aws: Aws, path: str, method: str) -> None:
    status, body = _plain(aws, path, method)
    assert status == 403
    assert b"AccessDenied" in body or b"MissingAuthenticationToken" in body


def test_an_unsigned_lightsail_call_is_refused(aws: Aws) -> None:
    headers = {"x-amz-target": "Lightsail_20161128.GetInstances"}
    status, body = _plain(aws, "/", "POST", headers, b"{}")
    assert (status, b"MissingAuthenticationToken" in body) == (403, True)


def test_a_signature_for_another_service_does_not_open_lightsail(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Aws(aws.settings)
    client = caller._client("lightsail")

    def rename(request: Any, **ignored: Any) -> None:
        request.headers["x-amz-target"] = "Lightsail_20161128.GetInstances"

    other = caller._client("ssm")
    other.meta.events.register("before-sign.ssm.DescribeParameters", rename)
    with pytest.raises(AwsRefused) as caught:
        caller.call("ssm", "describe_parameters")
    assert caught.value.code in WRONG_SIGNATURE
    assert client.get_instances()["instances"] is not None
    caller.close()


def test_only_the_bridge_is_listened_on(lab: LabStatus) -> None:
    pid = control.request(lab.name, "services")["aws"]["pid"]
    sockets = {
        link.readlink().name
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:")
    }
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    rows += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    octets = "".join(f"{int(part):02X}" for part in reversed(lab.gateway.split(".")))
    ports = {4566: "AWS", 2525: "its mailbox"}
    assert sorted(listening) == sorted(f"{octets}:{port:04X}" for port in ports)


def test_keys_lie_on_disk_for_their_owner_alone(aws: Aws) -> None:
    folder = Path(str(aws.settings.credentials_file)).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("credentials", "config", "ca.key", "server.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_made_outlives_the_emulator(
    lab: LabStatus, aws: Aws, tmp_path: Path, how: signal.Signals
) -> None:
    bucket = "outlives-a-stop"
    where = {"LocationConstraint": aws.settings.region}
    aws.call("s3", "create_bucket", Bucket=bucket, CreateBucketConfiguration=where)
    aws.call("s3", "put_object", Bucket=bucket, Key="a/b", Body=b"kept")
    aws.put_secret("/outlives/a-stop", Secret("kept too"))
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    versions = {"Status": "Enabled"}
    with iam_user(aws, "outlives", [statement], tmp_path) as caller:
        aws.call("s3", "put_bucket_versioning", Bucket=bucket, VersioningConfiguration=versions)
        pid = control.request(lab.name, "services")["aws"]["pid"]
        os.kill(pid, how)
        _wait_gone(pid)
        lab_aws.bootstrap(lab.user_dir, lab.gateway, 4566)
        with caller.stream(bucket, "a/b") as chunks:
            assert b"".join(chunks) == b"kept"
    assert aws.call("s3", "get_bucket_versioning", Bucket=bucket)["Status"] == "Enabled"
    assert aws.get_secret("/outlives/a-stop").reveal() == "kept too"
    aws.call("ssm", "delete_parameter", Name="/outlives/a-stop")
    empty_prefix(aws, bucket, "")
    aws.call("s3", "delete_bucket", Bucket=bucket)


def _wait_gone(pid: int, seconds: float = 20) -> None:
    import time

    deadline = time.monotonic() + seconds
    while Path("/proc", str(pid), "cmdline").exists():
        if not Path("/proc", str(pid), "cmdline").read_bytes():
            return  # ended, not yet reaped
        assert time.monotonic() < deadline, "the emulator does not stop"
        time.sleep(0.05)


def _plain(
    aws: Aws, path: str, method: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, bytes]:
    trust = ssl.create_default_context(cafile=aws.settings.ca_file)
    request = urllib.request.Request(  # noqa: S310 - https
        f"{aws.settings.endpoint_url}{path}",
        method=method,
        headers=headers or {},
        data=body if method == "POST" else None,
    )
    try:
        with urllib.request.urlopen(request, context=trust, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
