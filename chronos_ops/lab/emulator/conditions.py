# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
"""Condition keys that ministack's IAM does not know and that the runbooks' policies lean on."""

import json
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_actions

_PUT = "cloudwatch:PutMetricData"
_KEY = "cloudwatch:namespace"


def teach() -> None:
    """`cloudwatch:namespace`. Raises RuntimeError if ministack is another than this knows."""
    known = getattr(iam_actions, "request_tag_context", None)
    if not callable(known):
        raise RuntimeError("ministack.core.iam_actions.request_tag_context is gone")

    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = dict(known(service, action, body, params))
        if action == _PUT:
            found[_KEY] = _namespace(body, params)
        return found

    iam_actions.request_tag_context = context


def _namespace(body: bytes, params: dict[str, Any]) -> str:
    """Of a PutMetricData call in JSON, CBOR or query form; empty: not known, so not allowed."""
    if body[:1] == b"{":
        return str(json.loads(body).get("Namespace", ""))
    text = body.decode("utf-8", errors="replace")
    found = parse_qs(text).get("Namespace") or params.get("Namespace") or [""]
    name = str(found[0] if isinstance(found, list) else found)
    return name or _of_cbor(body)


def _of_cbor(body: bytes) -> str:
    try:
        import cbor2
    except ImportError:
        return ""
    return str((cbor2.loads(body) or {}).get("Namespace", ""))
