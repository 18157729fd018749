"""S3, IAM and the Parameter Store of the lab, as far as the runbooks lean on them."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import Refused, UsageError
from chronos_ops.model.question import AwsQuestion
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import load_settings
from tests.lab.aws_callers import iam_user
from tests.lab.waiting import until

BUCKET = "services-under-test"
ARN = f"arn:aws:s3:::{BUCKET}"
# What pgBackRest 2.55 needs, and nothing more (seen by taking each of them away).
HOST_STATEMENTS: list[dict[str, Any]] = [
    {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": ARN,
        "Condition": {"StringLike": {"s3:prefix": ["live/*"]}},
    },
    {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        "Resource": f"{ARN}/live/*",
    },
]


@pytest.fixture(scope="module")
def aws(lab: LabStatus) -> Aws:
    return Aws(load_settings(lab.name).aws)


@pytest.fixture
def bucket(aws: Aws) -> Iterator[str]:
    where = {"LocationConstraint": aws.settings.region}
    aws.call("s3", "create_bucket", Bucket=BUCKET, CreateBucketConfiguration=where)
    yield BUCKET
    listed = aws.call("s3", "list_object_versions", Bucket=BUCKET)
    for item in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        which = {"Key": item["Key"], "VersionId": item["VersionId"]}
        aws.call("s3", "delete_object", Bucket=BUCKET, **which)
    aws.call("s3", "delete_bucket", Bucket=BUCKET)


def _code(call: Callable[[], object]) -> str:
    with pytest.raises(AwsRefused) as caught:
        call()
    return caught.value.code


def test_a_host_reads_and_writes_its_prefix_and_nothing_else(
    aws: Aws, bucket: str, tmp_path: Path
) -> None:
    aws.call("s3", "put_object", Bucket=bucket, Key="other/a", Body=b"not the host's")
    versioning = {"Status": "Enabled"}
    aws.call("s3", "put_bucket_versioning", Bucket=bucket, VersioningConfiguration=versioning)
    with iam_user(aws, "host-of-prefix", HOST_STATEMENTS, tmp_path) as host:
        host.call("s3", "put_object", Bucket=bucket, Key="live/a", Body=b"1")
        with host.stream(bucket, "live/a") as chunks:
            assert b"".join(chunks) == b"1"
        listed = host.call("s3", "list_objects_v2", Bucket=bucket, Prefix="live/")
        assert [found["Key"] for found in listed["Contents"]] == ["live/a"]
        version = aws.call("s3", "head_object", Bucket=bucket, Key="live/a")["VersionId"]
        aws.call("s3", "put_object", Bucket=bucket, Key="live/a", Body=b"2")
        host.call("s3", "delete_object", Bucket=bucket, Key="live/a")
        for operation, arguments in _beyond(version):
            denied = _code(partial(host.call, "s3", operation, Bucket=BUCKET, **arguments))
            assert denied == "AccessDenied", operation
        assert _code(lambda: host.call("iam", "list_users")) == "AccessDenied"
        assert _code(lambda: host.call("ssm", "describe_parameters")) == "AccessDeniedException"
        assert _code(lambda: host.call("lightsail", "get_instances")) == "AccessDeniedException"


def _beyond(version: str) -> list[tuple[str, dict[str, Any]]]:
    """Calls that the host's policy does not allow."""
    rules = {"Rules": [{"ID": "r", "Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}]}
    return [
        ("get_object", {"Key": "other/a"}),
        ("put_object", {"Key": "other/b", "Body": b""}),
        ("put_object", {"Key": "livelier", "Body": b""}),
        ("delete_object", {"Key": "other/a"}),
        ("delete_object", {"Key": "live/a", "VersionId": version}),
        ("list_objects_v2", {}),
        ("list_objects_v2", {"Prefix": ""}),
        ("list_objects_v2", {"Prefix": "other/"}),
        ("list_object_versions", {"Prefix": "live/"}),
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Suspended"}}),
        ("put_bucket_lifecycle_configuration", {"LifecycleConfiguration": rules}),
        ("put_bucket_policy", {"Policy": "{}"}),
        ("delete_bucket", {}),
    ]


def test_a_bucket_keeps_what_protects_it(aws: Aws, bucket: str) -> None:
    block = {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }
    aws.call("s3", "put_public_access_block", Bucket=bucket, PublicAccessBlockConfiguration=block)
    got = aws.call("s3", "get_public_access_block", Bucket=bucket)
    assert got["PublicAccessBlockConfiguration"] == block
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    rules = {"Rules": [rule]}
    aws.call("s3", "put_bucket_encryption", Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    got = aws.call("s3", "get_bucket_encryption", Bucket=bucket)
    [seen] = got["ServerSideEncryptionConfiguration"]["Rules"]
    assert seen["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    versioning = {"Status": "Enabled"}
    aws.call("s3", "put_bucket_versioning", Bucket=bucket, VersioningConfiguration=versioning)
    assert aws.call("s3", "get_bucket_versioning", Bucket=bucket)["Status"] == "Enabled"


def test_a_lifecycle_comes_back_as_it_was_put(aws: Aws, bucket: str) -> None:
    absent = AwsQuestion(
        "s3",
        "get_bucket_lifecycle_configuration",
        {"Bucket": bucket},
        absent=("NoSuchLifecycleConfiguration",),
    )
    assert aws.ask(absent) is None
    rule = {
        "ID": "tiers",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "long-term/backup/", "ObjectSizeGreaterThan": 8388608}},
        "Transitions": [
            {"Days": 31, "StorageClass": "GLACIER_IR"},
            {"Days": 91, "StorageClass": "DEEP_ARCHIVE"},
        ],
        "Expiration": {"Days": 400},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
    }
    stale = {
        "ID": "stale",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    aws.call(
        "s3",
        "put_bucket_lifecycle_configuration",
        Bucket=bucket,
        LifecycleConfiguration={"Rules": [rule, stale]},
    )
    assert aws.ask(absent)["Rules"] == [rule, stale]


def test_a_bucket_policy_binds_the_operator_too(aws: Aws, bucket: str) -> None:
    statement = {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [ARN, f"{ARN}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    forbidden = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"{ARN}/closed/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement, forbidden]}
    aws.call("s3", "put_bucket_policy", Bucket=bucket, Policy=json.dumps(policy))
    got = aws.call("s3", "get_bucket_policy", Bucket=bucket)["Policy"]
    assert json.loads(got)["Statement"] == policy["Statement"]
    aws.call("s3", "put_object", Bucket=bucket, Key="closed/a", Body=b"1")  # TLS: not denied
    read = {"Bucket": bucket, "Key": "closed/a"}
    assert _code(lambda: aws.call("s3", "get_object", **read)) == "AccessDenied"


def test_versions_survive_a_deletion(aws: Aws, bucket: str) -> None:
    versioning = {"Status": "Enabled"}
    aws.call("s3", "put_bucket_versioning", Bucket=bucket, VersioningConfiguration=versioning)
    first = aws.call("s3", "put_object", Bucket=bucket, Key="k", Body=b"one")["VersionId"]
    aws.call("s3", "put_object", Bucket=bucket, Key="k", Body=b"two")
    aws.call("s3", "delete_object", Bucket=bucket, Key="k")
    assert _code(lambda: aws.call("s3", "get_object", Bucket=bucket, Key="k")) == "NoSuchKey"
    with aws.stream(bucket, "k", VersionId=first) as chunks:
        assert b"".join(chunks) == b"one"


def test_pages_of_a_long_listing_are_merged(aws: Aws, bucket: str) -> None:
    for number in range(12):
        aws.call("s3", "put_object", Bucket=bucket, Key=f"k{number:02d}", Body=b"")
    arguments = {"Bucket": bucket, "MaxKeys": 5}
    listed = aws.ask(AwsQuestion("s3", "list_objects_v2", arguments, paginate=True))
    assert [found["Key"] for found in listed["Contents"]] == [f"k{n:02d}" for n in range(12)]


def test_a_secret_goes_round_and_is_not_overwritten(aws: Aws) -> None:
    name, secret = "/chronos/test/a-secret", Secret("p@ss 'wörd'")
    assert not aws.ask_secret_exists(name)
    aws.put_secret(name, secret)
    try:
        assert aws.ask_secret_exists(name)
        assert aws.get_secret(name) == secret
        sealed = aws.call("ssm", "get_parameter", Name=name)["Parameter"]
        assert sealed["Type"] == "SecureString"
        assert secret.reveal() not in str(sealed)
        with pytest.raises(Refused, match=name):
            aws.put_secret(name, Secret("other"))
        assert aws.get_secret(name) == secret
        aws.put_secret(name, Secret("other"), overwrite=True)
        assert aws.get_secret(name).reveal() == "other"
    finally:
        aws.call("ssm", "delete_parameter", Name=name)
    with pytest.raises(UsageError, match="no such secret"):
        aws.get_secret(name)


def test_an_archived_object_is_refused_until_it_is_restored(aws: Aws, bucket: str) -> None:
    """As S3 documents it; the time that it takes is the lab's."""
    one = {"Bucket": bucket, "Key": "a b+ü"}
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": one}
    for archive in ("GLACIER", "DEEP_ARCHIVE"):
        aws.call("s3", "put_object", **one, Body=b"cold", StorageClass=archive)
        for operation, arguments in (("get_object", one), ("copy_object", copy)):
            with pytest.raises(AwsRefused) as caught:
                aws.call("s3", operation, **arguments)
            assert caught.value.code == "InvalidObjectState", operation
        assert aws.call("s3", "head_object", **one)["StorageClass"] == archive
        assert "RestoreStatus" not in _listed(aws, bucket)
        wanted = {"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}}
        assert _status(aws, **one, RestoreRequest=wanted) == 202
        assert aws.call("s3", "head_object", **one)["Restore"] == 'ongoing-request="true"'
        assert _listed(aws, bucket)["RestoreStatus"] == {"IsRestoreInProgress": True}
        again = partial(aws.call, "s3", "restore_object", **one, RestoreRequest=wanted)
        assert _code(again) == "RestoreAlreadyInProgress"
        until(lambda: "false" in aws.call("s3", "head_object", **one)["Restore"], "restored")
        assert aws.call("s3", "head_object", **one)["Restore"].endswith(' 00:00:00 GMT"')
        assert "RestoreExpiryDate" in _listed(aws, bucket)["RestoreStatus"]
        with aws.stream(bucket, one["Key"]) as chunks:
            assert b"".join(chunks) == b"cold"
        aws.call("s3", "copy_object", **copy, StorageClass="STANDARD")
        assert _status(aws, **one, RestoreRequest=wanted) == 200
        aws.call("s3", "delete_object", Bucket=bucket, Key="copy")


def _status(aws: Aws, **arguments: Any) -> int:
    answer = aws._client("s3").restore_object(**arguments)
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def _listed(aws: Aws, bucket: str) -> dict[str, Any]:
    asked = {"Bucket": bucket, "OptionalObjectAttributes": ["RestoreStatus"]}
    [found] = aws.call("s3", "list_objects_v2", **asked)["Contents"]
    return dict(found)


def test_expedited_is_refused_for_deep_archive_and_warm_classes_are_read_at_once(
    aws: Aws, bucket: str
) -> None:
    one = {"Bucket": bucket, "Key": "k"}
    asked = {"Days": 1, "GlacierJobParameters": {"Tier": "Expedited"}}
    restore = partial(aws.call, "s3", "restore_object", **one, RestoreRequest=asked)
    aws.call("s3", "put_object", **one, Body=b"x", StorageClass="DEEP_ARCHIVE")
    assert _code(restore) == "InvalidArgument"
    aws.call("s3", "put_object", **one, Body=b"x", StorageClass="GLACIER_IR")
    assert _code(restore) == "InvalidObjectState"
    with aws.stream(bucket, "k") as chunks:
        assert b"".join(chunks) == b"x"
    aws.call("s3", "put_object", **one, Body=b"x")
    assert _code(restore) == "ObjectAlreadyInActiveTierError"
