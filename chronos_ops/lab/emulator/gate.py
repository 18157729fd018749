# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
"""Who may pass: no backdoor keys, no anonymous calls, signature and IAM for every service.

Written against ministack 1.5.33 (pinned): it names functions of its evaluator, and start-up fails
if one of them is gone.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote

from ministack.core import iam_evaluator, responses, sigv4
from ministack.services import sts

_SCOPE = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
HEALTH = "/_lab/health"
INBOX = "/_lab/inbox"
# Links that AWS itself serves without credentials.
_OPEN_ACTIONS = {"ConfirmSubscription", "Unsubscribe"}


@dataclass(frozen=True)
class Denied(Exception):
    """Not let through: `code` as AWS names it."""

    code: str
    message: str


@dataclass(frozen=True)
class Request:
    """An HTTP request, read whole."""

    scope: dict[str, Any]
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def close_backdoors() -> None:
    """ministack takes `test`, any 12 digits and no key at all for root, unsigned: here nobody is.

    The lab's first user is made in process (accounts.py), so no root key is needed.
    """
    for module in (iam_evaluator, sts):
        if not callable(getattr(module, "is_root_access_key", None)):
            raise RuntimeError(f"{module.__name__}.is_root_access_key is gone: ministack changed")
        module.is_root_access_key = _nobody_is_root


def _nobody_is_root(access_key_id: str) -> bool:
    return False


def headers_of(scope: dict[str, Any]) -> dict[str, str]:
    """Lower-case header names to their values; a repeated header is joined by a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", []):
        name, value = raw_name.decode("latin-1").lower(), sigv4.decode_header_value(raw_value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def query_of(scope: dict[str, Any]) -> dict[str, list[str]]:
    return parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def follows_link(scope: dict[str, Any], headers: dict[str, str]) -> bool:
    """Whether somebody follows a link of an SNS e-mail: a GET without credentials."""
    actions = set(query_of(scope).get("Action", []))
    unsigned = "authorization" not in headers
    return unsigned and scope.get("method") == "GET" and bool(actions & _OPEN_ACTIONS)


def refuse_unsigned(scope: dict[str, Any], headers: dict[str, str]) -> None:
    """Raise Denied for ministack's own unauthenticated doors and for calls without credentials."""
    path = scope.get("path", "")
    if path.startswith("/_"):
        raise Denied("AccessDenied", f"{path} is not served by this lab")
    if "authorization" in headers or "X-Amz-Credential" in query_of(scope):
        return
    raise Denied("MissingAuthenticationToken", "The request carries no credentials")


def authorise(
    request: Request,
    service: str,
    action: str,
    resource_arn: str,
    context: dict[str, Any],
    default_region: str,
) -> None:
    """Signature, then policies, as ministack does for its own services. Raises Denied."""
    found = _SCOPE.search(request.headers.get("authorization", ""))
    if found is None:
        raise Denied("MissingAuthenticationToken", "The request is not signed by SigV4 headers")
    key, _date, region, scoped = found.groups()
    if scoped != service or region != default_region:
        wanted = f"{service} in {default_region}"
        raise Denied("InvalidSignatureException", f"Credential should be scoped to {wanted}")
    _pin(request, key, region)
    failure = iam_evaluator.enforce(
        key, f"{service}:{action}", service, region, resource_arn, service_context=context
    )
    if isinstance(failure, iam_evaluator.AuthError):
        wrong = failure.code == "SignatureDoesNotMatch"  # services that speak JSON say it so:
        raise Denied("InvalidSignatureException" if wrong else failure.code, failure.message)
    if failure is not None:
        who = getattr(failure, "principal_arn", "")
        explicit = "with an explicit deny" if failure.decision == "Deny" else "(no policy allows)"
        raise Denied(
            "AccessDeniedException",
            f"User: {who} is not authorized to perform: {service}:{action} "
            f"on resource: {resource_arn} {explicit}",
        )
    if iam_evaluator._verified_key.get() != key:
        raise Denied("IncompleteSignature", "The signature was not verified")


def _pin(request: Request, key: str, region: str) -> None:
    """Tell the evaluator about this request, as ministack's own entry point does."""
    scope = request.scope
    origin = (scope.get("client") or ("127.0.0.1",))[0]
    iam_evaluator.pin_request_origin(origin, scope.get("scheme") == "https")
    responses.set_request_account_id(iam_evaluator.find_iam_access_key_account(key) or key)
    responses.set_request_region(region)
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    query = parse_qs(scope.get("query_string", b"").decode("utf-8"), keep_blank_values=True)
    iam_evaluator.pin_signed_request(
        scope["method"], raw_path.decode("latin-1"), query, scope.get("headers", [])
    )
    iam_evaluator.pin_signed_body(request.body)
