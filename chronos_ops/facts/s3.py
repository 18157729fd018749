"""The S3 bucket of the repositories: its protections, its lifecycle, what lies in it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import AwsQuestion, Fact

_NONE = ("NoSuchBucket",)
READ_AT_ONCE = ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "REDUCED_REDUNDANCY", "GLACIER_IR")


def _bucket_question(operation: str, bucket: str, *absent: str) -> AwsQuestion:
    return AwsQuestion("s3", operation, {"Bucket": bucket}, absent=(*_NONE, *absent))


def location(bucket: str) -> Fact[str | None]:
    """The bucket's region; None: there is no such bucket. Another account's: AccessDenied."""
    return Fact(
        "bucket_location",
        _bucket_question("get_bucket_location", bucket),
        # S3 says null for us-east-1
        lambda answer: (
            None if answer is None else (answer.get("LocationConstraint") or "us-east-1")
        ),
    )


def public_access_block(bucket: str) -> Fact[dict[str, bool]]:
    """The four switches; empty: none is set."""
    return Fact(
        "bucket_public_access_block",
        _bucket_question("get_public_access_block", bucket, "NoSuchPublicAccessBlockConfiguration"),
        lambda answer: dict(answer["PublicAccessBlockConfiguration"]) if answer else {},
    )


def encryption(bucket: str) -> Fact[str]:
    """The default encryption's algorithm (AES256, aws:kms); empty: none."""

    def read(answer: Any) -> str:
        if answer is None:
            return ""
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
        return str(rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])

    question = _bucket_question(
        "get_bucket_encryption", bucket, "ServerSideEncryptionConfigurationNotFoundError"
    )
    return Fact("bucket_encryption", question, read)


def versioning(bucket: str) -> Fact[str]:
    """Enabled, Suspended, or empty: never set."""
    return Fact(
        "bucket_versioning",
        _bucket_question("get_bucket_versioning", bucket),
        lambda answer: "" if answer is None else str(answer.get("Status", "")),
    )


def lifecycle(bucket: str) -> Fact[list[dict[str, Any]]]:
    """The lifecycle's rules; empty: none."""
    question = _bucket_question(
        "get_bucket_lifecycle_configuration", bucket, "NoSuchLifecycleConfiguration"
    )
    return Fact(
        "bucket_lifecycle", question, lambda answer: [] if answer is None else list(answer["Rules"])
    )


def policy(bucket: str) -> Fact[dict[str, Any] | None]:
    """The bucket's policy document; None: none."""

    def read(answer: Any) -> dict[str, Any] | None:
        if answer is None:
            return None
        document = json.loads(answer["Policy"])
        if not isinstance(document, dict):
            raise UnreadableAnswer("the bucket policy is not a document", answer["Policy"][:120])
        return document

    return Fact(
        "bucket_policy", _bucket_question("get_bucket_policy", bucket, "NoSuchBucketPolicy"), read
    )


@dataclass(frozen=True)
class StoredObject:
    """One object: its size in bytes, and the class that says how fast it can be read."""

    key: str
    size: int
    storage_class: str  # STANDARD, GLACIER_IR (read at once), GLACIER, DEEP_ARCHIVE (hours)
    thawing: bool = False  # RestoreObject is at work
    thawed_until: datetime | None = None  # a readable copy of a frozen object is there until then
    stored_at: datetime | None = None

    @property
    def readable(self) -> bool:
        """False: a read answers InvalidObjectState."""
        return self.storage_class in READ_AT_ONCE or self.thawed_until is not None


def objects(bucket: str, prefix: str) -> Fact[list[StoredObject]]:
    """Every current object below a prefix (given with or without its leading slash)."""

    def read(answer: Any) -> list[StoredObject]:
        if answer is None:
            return []
        return [_stored(item) for item in answer.get("Contents", [])]

    question = AwsQuestion(
        "s3",
        "list_objects_v2",
        {
            "Bucket": bucket,
            "Prefix": prefix.strip("/") + "/",
            "OptionalObjectAttributes": ["RestoreStatus"],
        },
        paginate=True,
        absent=_NONE,
    )
    return Fact("stored_objects", question, read)


def _stored(item: dict[str, Any]) -> StoredObject:
    status = item.get("RestoreStatus") or {}
    return StoredObject(
        key=item["Key"],
        size=int(item["Size"]),
        storage_class=str(item.get("StorageClass") or "STANDARD"),
        thawing=bool(status.get("IsRestoreInProgress")),
        thawed_until=status.get("RestoreExpiryDate"),
        stored_at=item.get("LastModified"),
    )


def anything_below(bucket: str, prefix: str) -> Fact[bool]:
    """Whether anything at all lies below a prefix."""
    question = AwsQuestion(
        "s3",
        "list_objects_v2",
        {"Bucket": bucket, "Prefix": prefix.strip("/") + "/", "MaxKeys": 1},
        absent=_NONE,
    )
    return Fact("anything_below", question, lambda answer: bool(answer and answer.get("Contents")))
