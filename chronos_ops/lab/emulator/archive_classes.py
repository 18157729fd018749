# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
"""S3's archive classes, where ministack's own are more lenient than S3.

ministack knows RestoreObject, `x-amz-restore` and InvalidObjectState for GetObject. Missing there,
and added here: a frozen source of CopyObject and UploadPartCopy is refused, Expedited is refused
for DEEP_ARCHIVE, ListObjectsV2 tells RestoreStatus when asked. The hours that S3 takes are the
lab's CHRONOS_LAB_RESTORE_SECONDS here, whatever the tier.
"""

import os
import time
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree

from ministack.services import s3

Answer = tuple[int, dict[str, str], bytes]
_ASKED = "x-amz-optional-object-attributes"
_NEEDED = ("_dispatch", "_invalid_object_state", "_sync_restore", "_ARCHIVE_STORAGE_CLASSES")


def teach() -> None:
    """Raises RuntimeError if ministack is another than this knows."""
    missing = [name for name in (*_NEEDED, "_RESTORE_DELAY_SECONDS") if not hasattr(s3, name)]
    if missing:
        raise RuntimeError(f"ministack's s3 has no {', '.join(missing)}")
    s3._RESTORE_DELAY_SECONDS = float(os.environ["CHRONOS_LAB_RESTORE_SECONDS"])
    known = s3._dispatch

    def dispatch(
        method: str, bucket: str, key: str, headers: dict[str, str], body: bytes, query: Any
    ) -> Answer:
        if method == "PUT" and key and "x-amz-copy-source" in headers:
            refused = _frozen_source(headers["x-amz-copy-source"])
            if refused is not None:
                return refused
        if method == "POST" and key and "restore" in query:
            refused = _tier_refused(bucket, key, body)
            if refused is not None:
                return refused
        answer: Answer = known(method, bucket, key, headers, body, query)
        if method == "GET" and not key and "RestoreStatus" in headers.get(_ASKED, ""):
            return _with_restore_status(bucket, answer)
        return answer

    s3._dispatch = dispatch


def _object(bucket: str, key: str) -> dict[str, Any] | None:
    found = s3._buckets.get(bucket)
    return found["objects"].get(key) if found else None


def _frozen_source(raw: str) -> Answer | None:
    path, _, query = raw.lstrip("/").partition("?")
    bucket, _, key = unquote(path).partition("/")
    current = _object(bucket, key)
    source, version = current, parse_qs(query).get("versionId", [""])[0]
    if version and (current is None or current.get("version_id") != version):
        entries = s3._object_versions.get((bucket, key), [])
        source = next((v for v in entries if v["version_id"] == version), None)
    if source is None or source.get("storage_class") not in s3._ARCHIVE_STORAGE_CLASSES:
        return None
    if source is current and s3._sync_restore(bucket, key, current) == "restored":
        return None
    refusal: Answer = s3._invalid_object_state(bucket, key, source["storage_class"])
    return refusal


def _tier_refused(bucket: str, key: str, body: bytes) -> Answer | None:
    found = _object(bucket, key)
    if found is None or found.get("storage_class") != "DEEP_ARCHIVE" or b"Expedited" not in body:
        return None
    said = "Retrieval option is not supported by this storage class"
    refusal: Answer = s3._error("InvalidArgument", said, 400, f"/{bucket}/{key}")
    return refusal


def _with_restore_status(bucket: str, answer: Answer) -> Answer:
    status, headers, body = answer
    if status != 200:
        return answer
    root = ElementTree.fromstring(body)  # noqa: S314 - of ministack's making
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    if space:
        ElementTree.register_namespace("", space.strip("{}"))
    for item in root.iter(f"{space}Contents"):
        key = unquote(item.findtext(f"{space}Key") or "")
        found = _object(bucket, key)
        phase = s3._sync_restore(bucket, key, found)
        if found is None or phase is None:
            continue
        told = ElementTree.SubElement(item, f"{space}RestoreStatus")
        running = ElementTree.SubElement(told, f"{space}IsRestoreInProgress")
        running.text = "true" if phase == "in_progress" else "false"
        if phase == "restored":
            until = time.gmtime(found["restore"]["expires_at"])
            expiry = ElementTree.SubElement(told, f"{space}RestoreExpiryDate")
            expiry.text = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", until)
    text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return 200, headers, text
