"""The S3 bucket of the repositories (B1) and its lifecycle (B2 as resolved)."""

import json
from typing import Any

from chronos_ops.facts import s3
from chronos_ops.model.plan import CallAws, Change, Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage

OURS = "chronos-"  # lifecycle rules and policy statements with this prefix are ours
_TLS_ONLY = "chronos-tls-only"
_SWITCHES = (
    "BlockPublicAcls",
    "IgnorePublicAcls",
    "BlockPublicPolicy",
    "RestrictPublicBuckets",
)


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What must be known of the bucket."""
    bucket = settings.backup.bucket
    return {
        "location": s3.location(bucket),
        "public_access_block": s3.public_access_block(bucket),
        "encryption": s3.encryption(bucket),
        "versioning": s3.versioning(bucket),
        "lifecycle": s3.lifecycle(bucket),
        "policy": s3.policy(bucket),
    }


def wanted_lifecycle(settings: Settings) -> list[dict[str, Any]]:
    """Our rules. Nothing here ever moves or deletes a current object of repo1, nor an info file."""
    backup = settings.backup
    rules: list[dict[str, Any]] = [
        {
            "ID": f"{OURS}abort-stale-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {
            "ID": f"{OURS}expire-old-versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": backup.noncurrent_days},
        },
    ]
    tiers = backup.long_term
    if tiers is None:
        return rules
    # archive.info is written once and never again: only the big files of backup sets move or go.
    rules.append(
        {
            "ID": f"{OURS}long-term-tiers",
            "Status": "Enabled",
            "Filter": {
                "And": {
                    "Prefix": f"{backup.long_term_prefix.strip('/')}/backup/",
                    "ObjectSizeGreaterThan": tiers.transition_min_bytes,
                }
            },
            "Transitions": [
                {"Days": tiers.glacier_instant_after_days, "StorageClass": "GLACIER_IR"},
                {"Days": tiers.deep_archive_after_days, "StorageClass": "DEEP_ARCHIVE"},
            ],
            "Expiration": {"Days": tiers.expire_after_days},
        }
    )
    return rules


def tls_only_statement(bucket: str) -> dict[str, Any]:
    """Refuse every request that does not come over TLS."""
    return {
        "Sid": _TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Create the bucket if there is none; set what differs."""
    name, region, bucket = "s3-bucket", settings.aws.region, settings.backup.bucket
    if values["location"] not in (None, region):
        refusal = (
            f"bucket {bucket} is in {values['location']}, declared is {region}: "
            "a bucket cannot move; name another one, or set aws.region"
        )
        return Plan(name=name, refusals=(refusal,))
    changes = [
        change
        for change in (
            _create(settings, values),
            _public_access(bucket, values),
            _encryption(bucket, values),
            _versioning(bucket, values),
            _lifecycle(settings, values),
            _policy(bucket, values),
        )
        if change is not None
    ]
    return Plan(
        name=name,
        changes=tuple(changes),
        noop_reason="" if changes else f"bucket {bucket} is as declared",
    )


def _call(operation: str, bucket: str, **arguments: Any) -> CallAws:
    return CallAws(service="s3", operation=operation, arguments={"Bucket": bucket, **arguments})


def _shown(value: Any) -> str:
    return json.dumps(value, indent=2, sort_keys=True, default=str) if value else ""


def _create(settings: Settings, values: dict[str, Any]) -> Change | None:
    if values["location"] is not None:
        return None
    bucket, region = settings.backup.bucket, settings.aws.region
    where = (
        {}
        if region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    )
    return Change(
        id="s3.bucket",
        title=f"create the S3 bucket {bucket} in {region}",
        why="both repositories live in it, each below its own prefix (B1)",
        deeds=(_call("create_bucket", bucket, **where),),
        undo=(_call("delete_bucket", bucket),),
        after=f"s3://{bucket} ({region})",
        creates=f"s3:bucket/{bucket}",
    )


def _public_access(bucket: str, values: dict[str, Any]) -> Change | None:
    wanted = dict.fromkeys(_SWITCHES, True)
    if values["location"] and values["public_access_block"] == wanted:
        return None
    return Change(
        id="s3.public-access-block",
        title="block every kind of public access",
        why="backups hold the whole database (B1)",
        deeds=(_call("put_public_access_block", bucket, PublicAccessBlockConfiguration=wanted),),
        before=_shown(values["public_access_block"]),
        after=_shown(wanted),
    )


def _encryption(bucket: str, values: dict[str, Any]) -> Change | None:
    if values["location"] and values["encryption"]:
        return None  # a customer key (aws:kms) is kept
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    return Change(
        id="s3.encryption",
        title="encrypt new objects by default (SSE-S3)",
        why="a second layer below the repository's own cipher (B1, B4)",
        deeds=(
            _call(
                "put_bucket_encryption",
                bucket,
                ServerSideEncryptionConfiguration={"Rules": [rule]},
            ),
        ),
        after="SSEAlgorithm: AES256",
    )


def _versioning(bucket: str, values: dict[str, Any]) -> Change | None:
    if values["versioning"] == "Enabled":
        return None
    return Change(
        id="s3.versioning",
        title="keep the former versions of objects",
        why="the host may delete, but not for good: a deletion is undone from the versions (B1)",
        deeds=(
            _call("put_bucket_versioning", bucket, VersioningConfiguration={"Status": "Enabled"}),
        ),
        undo=(
            _call("put_bucket_versioning", bucket, VersioningConfiguration={"Status": "Suspended"}),
        ),
        before=values["versioning"],
        after="Enabled",
    )


def _normal(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule without what the service adds or drops on its way (an empty filter, legacy prefix)."""
    kept = {k: v for k, v in rule.items() if k != "Prefix" and v not in ({}, [], None)}
    if kept.get("Filter") == {"Prefix": ""}:
        kept.pop("Filter")
    return kept


def _lifecycle(settings: Settings, values: dict[str, Any]) -> Change | None:
    wanted = wanted_lifecycle(settings)
    current: list[dict[str, Any]] = values["lifecycle"]
    theirs = [rule for rule in current if not str(rule.get("ID", "")).startswith(OURS)]
    ours = [rule for rule in current if str(rule.get("ID", "")).startswith(OURS)]

    def by_id(rules: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {str(rule["ID"]): _normal(rule) for rule in rules}

    if by_id(ours) == by_id(wanted):
        return None
    rules = [*theirs, *wanted]
    undo = (
        _call(
            "put_bucket_lifecycle_configuration",
            settings.backup.bucket,
            LifecycleConfiguration={"Rules": current},
        )
        if current
        else _call("delete_bucket_lifecycle", settings.backup.bucket)
    )
    return Change(
        id="s3.lifecycle",
        title="set the lifecycle: repo1 untouched, only big files of repo2 change class",
        why="info files and manifests must stay readable at once; pgBackRest owns retention (B2)",
        deeds=(
            _call(
                "put_bucket_lifecycle_configuration",
                settings.backup.bucket,
                LifecycleConfiguration={"Rules": rules},
            ),
        ),
        undo=(undo,),
        before=_shown(current),
        after=_shown(rules),
    )


def _policy(bucket: str, values: dict[str, Any]) -> Change | None:
    current = values["policy"] or {"Version": "2012-10-17", "Statement": []}
    statements = current.get("Statement", [])
    if isinstance(statements, dict):
        statements = [statements]
    wanted = tls_only_statement(bucket)
    if wanted in statements:
        return None
    theirs = [s for s in statements if not str(s.get("Sid", "")).startswith(OURS)]
    document = {**current, "Statement": [*theirs, wanted]}
    undo = (
        _call("put_bucket_policy", bucket, Policy=json.dumps(values["policy"]))
        if values["policy"]
        else _call("delete_bucket_policy", bucket)
    )
    return Change(
        id="s3.policy",
        title="refuse requests without TLS",
        why="keys and data never travel in the clear (B1)",
        deeds=(_call("put_bucket_policy", bucket, Policy=json.dumps(document)),),
        undo=(undo,),
        before=_shown(values["policy"]),
        after=_shown(document),
    )


BUCKET = Stage("s3-bucket", facts, plan)
