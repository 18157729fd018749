"""The bucket that keeps an archive: versions, Object Lock, and what lies there (R4).

Below the prefix: public-key.pem; entries/<seq>.json, each line of the index as it is (the last one
anchors the chain's end); statements/, packages/ (a run's folder as tar), timestamps/. Each key is
written once (`If-None-Match`), so that whoever finds another object there has found a forgery.
"""

import base64
import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.model.archive import Archive as Declared
from chronos_ops.model.errors import Refused
from chronos_ops.model.question import AwsQuestion
from chronos_ops.model.timing import utc_now

_AT_ONCE = 8


@dataclass(frozen=True)
class Held:
    """One version of an object, as the bucket tells of it. `sha256` hexadecimal, "" if untold."""

    key: str
    version: str
    sha256: str
    mode: str = ""
    retain_until: datetime | None = None


@dataclass(frozen=True)
class Version:
    """A line of the listing. `marker`: a deletion."""

    key: str
    version: str
    written_at: datetime
    latest: bool
    marker: bool


class Bucket:
    """Puts objects under lock, and looks at them. Raises what `Aws` raises, and Refused."""

    def __init__(self, aws: Aws, declared: Declared) -> None:
        if declared.bucket is None:
            raise Refused("the target declares no bucket for its archive")
        self._aws = aws
        self._declared = declared
        self.name = declared.bucket

    def key(self, name: str) -> str:
        return f"{self._declared.prefix}/{name}"

    # -- writing

    def keep(self, name: str, body: bytes | IO[bytes], sha256: str) -> Held:
        """Write an object under lock, once. Raises Refused if another one lies there."""
        until = utc_now().replace(microsecond=0) + timedelta(
            days=self._declared.retention_days, seconds=1
        )
        try:
            answer = self._aws.call(
                "s3",
                "put_object",
                Bucket=self.name,
                Key=self.key(name),
                Body=body,
                ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                ObjectLockMode=self._declared.lock_mode,
                ObjectLockRetainUntilDate=until,
                IfNoneMatch="*",
            )
        except AwsRefused as error:
            if error.code != "PreconditionFailed":
                raise
            held = self.look(self.key(name))
            if self.content(held) != sha256:
                raise Refused(
                    "another object lies in the bucket",
                    f"{self.name}/{self.key(name)}",
                    hint="another archive's? Give this one an own `archive.prefix`; "
                    "else somebody forged it: ./chronos verify",
                ) from None
            return held
        return Held(
            self.key(name), answer.get("VersionId", ""), sha256, self._declared.lock_mode, until
        )

    def make(self) -> None:
        """Create the bucket: Object Lock (which brings versioning), nothing public."""
        region = self._aws.settings.region
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        more = {"CreateBucketConfiguration": where} if where else {}
        self._aws.call(
            "s3", "create_bucket", Bucket=self.name, ObjectLockEnabledForBucket=True, **more
        )
        nobody = dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"),
            True,
        )
        self._aws.call(
            "s3",
            "put_public_access_block",
            Bucket=self.name,
            PublicAccessBlockConfiguration=nobody,
        )

    # -- looking

    def locks_objects(self) -> bool:
        """Whether the bucket can lock objects at all. Raises AwsRefused (NoSuchBucket)."""
        absent = ("ObjectLockConfigurationNotFoundError",)
        question = AwsQuestion(
            "s3", "get_object_lock_configuration", {"Bucket": self.name}, absent=absent
        )
        answer = self._aws.ask(question) or {}
        enabled = answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled")
        return bool(enabled == "Enabled")

    def keeps_versions(self) -> bool:
        answer = self._aws.call("s3", "get_bucket_versioning", Bucket=self.name)
        return bool(answer.get("Status") == "Enabled")

    def versions(self, name: str = "") -> list[Version]:
        """Every version and deletion below the prefix (or of what begins so), oldest first."""
        question = AwsQuestion(
            "s3",
            "list_object_versions",
            {"Bucket": self.name, "Prefix": self.key(name)},
            paginate=True,
        )
        answer = self._aws.ask(question)
        found = [
            Version(v["Key"], v["VersionId"], v["LastModified"], v["IsLatest"], marker=marker)
            for name, marker in (("Versions", False), ("DeleteMarkers", True))
            for v in answer.get(name) or []
        ]
        return sorted(found, key=lambda v: (v.key, v.written_at, v.latest))

    def first(self, name: str) -> bytes | None:
        """The oldest version of a small object; None if there never was one."""
        written = [v for v in self.versions(name) if not v.marker]
        if not written:
            return None
        oldest = written[0]
        with self._aws.stream(self.name, oldest.key, VersionId=oldest.version) as chunks:
            return b"".join(chunks)

    def look(self, key: str, version: str = "") -> Held:
        """What the bucket tells of an object, or of one version of it."""
        which = {"VersionId": version} if version else {}
        answer: dict[str, Any] = self._aws.call(
            "s3", "head_object", Bucket=self.name, Key=key, ChecksumMode="ENABLED", **which
        )
        told = answer.get("ChecksumSHA256", "")
        until = answer.get("ObjectLockRetainUntilDate")
        return Held(
            key,
            answer.get("VersionId", version),
            base64.b64decode(told).hex() if told and "-" not in told else "",
            answer.get("ObjectLockMode", ""),
            until.astimezone(UTC) if until else None,
        )

    def look_at_all(self, versions: Iterable[Version]) -> list[Held]:
        """`look` at each, several at once, in order."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda v: self.look(v.key, v.version), versions))

    def content(self, held: Held) -> str:
        """sha256 of an object: as the bucket tells, else of what it sends."""
        if held.sha256:
            return held.sha256
        digest = hashlib.sha256()
        which = {"VersionId": held.version} if held.version else {}
        with self._aws.stream(self.name, held.key, **which) as chunks:
            for chunk in chunks:
                digest.update(chunk)
        return digest.hexdigest()
