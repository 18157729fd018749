# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
"""Condition keys that ministack's IAM does not know and that the runbooks' policies lean on."""

import json
from typing import Any
from urllib.parse import parse_qs

from ministack.core import iam_actions
from ministack.services import iam

_PUT = "cloudwatch:PutMetricData"
_KEY = "cloudwatch:namespace"
# Judged by the boundary of the user that they name; CreateUser by the one that it brings.
_BOUNDED = {"iam:PutUserPolicy", "iam:AttachUserPolicy", "iam:DeleteUserPolicy"}
_BOUNDARY = "iam:PermissionsBoundary"


def teach() -> None:
    """Both of these keys. Raises RuntimeError if ministack is another than this knows."""
    known = getattr(iam_actions, "request_tag_context", None)
    if not callable(known):
        raise RuntimeError("ministack.core.iam_actions.request_tag_context is gone")

    def context(service: str, action: str, body: bytes, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = dict(known(service, action, body, params))
        if action == _PUT:
            found[_KEY] = _namespace(body, params)
        if action == "iam:CreateUser" or action in _BOUNDED:
            found.update(_boundary(action, body))
        return found

    iam_actions.request_tag_context = context


def _boundary(action: str, body: bytes) -> dict[str, str]:
    """The key with its value, or nothing: who has no boundary fulfils no condition on it."""
    asked = parse_qs(body.decode("utf-8", errors="replace"))
    if action == "iam:CreateUser":
        brought = asked.get("PermissionsBoundary", [""])[0]
    else:
        user = iam._users.get(asked.get("UserName", [""])[0]) or {}
        brought = user.get("PermissionsBoundary") or ""
    return {_BOUNDARY: brought} if brought else {}


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
