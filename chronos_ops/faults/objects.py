"""Faults of objects in the bucket: deleted as the host's own key could do it, or overwritten.

The bucket keeps versions: an undo takes the newest one away, and the former one is back.
"""

from collections.abc import Iterable
from typing import Any

from chronos_ops.faults.site import Site
from chronos_ops.model.errors import ChronosError

_KEPT = "objects"  # in site.kept: (key, version that the strike made)


def keys_below(site: Site, prefix: str, fragment: str = "") -> list[str]:
    """Keys of objects below a prefix that hold the fragment. Raises ChronosError: none."""
    bucket = site.settings.backup.bucket
    listed = site.aws.call("s3", "list_objects_v2", Bucket=bucket, Prefix=prefix)
    found = [str(item["Key"]) for item in listed.get("Contents", []) if fragment in item["Key"]]
    if not found:
        raise ChronosError("nothing to strike in the bucket", f"{prefix} … {fragment}")
    return found


def live(site: Site, kind: str) -> str:
    """Where repo1 keeps the stanza's `archive` or `backup`."""
    backup = site.settings.backup
    return f"{backup.prefix.strip('/')}/{kind}/{backup.stanza}"


def delete(site: Site, keys: Iterable[str]) -> None:
    """Delete objects: a marker hides each, as whenever a version is kept."""
    bucket = site.settings.backup.bucket
    for key in keys:
        answer = site.aws.call("s3", "delete_object", Bucket=bucket, Key=key)
        _remember(site, key, answer)


def overwrite(site: Site, key: str, body: bytes | None = None, **how: Any) -> None:
    """Put another body, or the same one in another storage class."""
    bucket = site.settings.backup.bucket
    content = read(site, key) if body is None else body
    answer = site.aws.call("s3", "put_object", Bucket=bucket, Key=key, Body=content, **how)
    _remember(site, key, answer)


def read(site: Site, key: str) -> bytes:
    """An object's body."""
    with site.aws.stream(site.settings.backup.bucket, key) as chunks:
        return b"".join(chunks)


def bring_back(site: Site) -> None:
    """Take away what the strike made, newest first: the versions before it are back."""
    made = site.kept.pop(_KEPT, [])
    for key, version in reversed(made):
        site.aws.call(
            "s3",
            "delete_object",
            Bucket=site.settings.backup.bucket,
            Key=key,
            VersionId=version,
        )


def _remember(site: Site, key: str, answer: dict[str, Any]) -> None:
    if not answer.get("VersionId"):
        raise ChronosError("the bucket keeps no versions: nothing could be brought back", key)
    site.kept.setdefault(_KEPT, []).append((key, answer["VersionId"]))
