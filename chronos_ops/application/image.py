"""Is the image in its registry? Asked as the OCI Distribution Specification says, nothing pulled.

Sources: OCI Distribution Specification, "Checking if content exists in the registry"; Docker's
"Token Authentication Specification".
"""

import json
import re
from dataclasses import dataclass
from urllib.parse import urlencode

from chronos_ops.application.looking import looked, undeclared
from chronos_ops.connectors import web
from chronos_ops.execution.context import Context
from chronos_ops.model.application import Image
from chronos_ops.model.errors import TransportError, UnreadableAnswer, UsageError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.secret import Secret

_TITLE = "The image is in its registry"
_HUB = "registry-1.docker.io"
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Reference:
    """An image's name taken apart."""

    registry: str
    name: str
    tag: str
    digest: str


def parse_reference(text: str) -> Reference:
    """As Docker reads it. Raises UsageError."""
    first, slash, rest = text.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    found = _REFERENCE.fullmatch(rest if named else text)
    if found is None:
        raise UsageError("not the name of an image", repr(text), hint="registry/name:tag")
    registry, name = (first, found["name"]) if named else (_HUB, found["name"])
    if registry in ("docker.io", "index.docker.io", _HUB):
        registry, name = _HUB, name if "/" in name else f"library/{name}"
    return Reference(registry, name, found["tag"] or "latest", found["digest"] or "")


def image(context: Context) -> Outcome:
    """Ask the registry for the image's manifest; nothing is pulled."""

    def look() -> list[Finding]:
        given = getattr(context.parameters, "image", "")
        chosen = _chosen(context.settings.application.image, given)
        if chosen is None:
            return [undeclared("image", _TITLE)]
        reference = parse_reference(chosen.reference)
        login = context.aws.get_secret(chosen.pull_secret) if chosen.pull_secret else None
        if login is not None:
            context.journal.keep_secret(login)
        answer = _manifest(reference, chosen, login)
        return [judged(reference, chosen, answer)]

    return looked("image", _TITLE, look)


image.probe = True  # type: ignore[attr-defined] # reads only


def _chosen(declared: Image | None, wanted: str) -> Image | None:
    """The parameter's image instead of the declared one. A login stays with its own registry."""
    if not wanted or (declared is not None and wanted == declared.reference):
        return declared
    known = declared and parse_reference(declared.reference).registry
    if declared is None or parse_reference(wanted).registry != known:
        return Image(reference=wanted)
    return declared.model_copy(update={"reference": wanted, "digest": None})


def judged(reference: Reference, declared: Image, answer: web.Answer) -> Finding:
    """By the registry's status and the digest that it names."""
    digest = answer.headers.get("docker-content-digest", "")
    wanted = reference.digest or declared.digest or ""
    where = f"{reference.registry} says of {declared.reference}: "
    passed: bool | None = None
    match answer.status:
        case 200:
            passed = digest == wanted if wanted and digest else None if wanted else True
            said = digest or "it is there (no digest was named)"
            hint = "the tag leads to another image: build it again, or declare what is meant"
        case 404:
            passed, said = False, "not there (404)"
            hint = "push it, or mend the name"
        case 401 | 403:
            said = f"it may not be looked at ({answer.status})"
            hint = "`application.image.pull_secret` names a secret that holds user:password"
        case status:
            said, hint = f"HTTP {status}", "ask again later"
    return judge(
        "application.image",
        _TITLE,
        passed=passed,
        observed=where + said,
        expected=wanted or "it is there",
        hint=hint,
        requirement="A1",
    )


def _manifest(reference: Reference, declared: Image, login: Secret | None) -> web.Answer:
    """HEAD of the manifest; where the registry wants a token, with that of its own service."""
    which = reference.digest or reference.tag
    url = f"https://{reference.registry}/v2/{reference.name}/manifests/{which}"
    headers = {"Accept": _MANIFESTS}
    answer = web.fetch(url, method="HEAD", headers=headers, ca_file=declared.ca_file)
    challenge = answer.headers.get("www-authenticate", "")
    if answer.status != 401:
        return answer
    if challenge.lower().startswith("basic") and login is not None:
        headers |= web.basic(login)
    elif challenge.lower().startswith("bearer"):
        headers["Authorization"] = f"Bearer {_token(challenge, reference, declared, login)}"
    else:
        return answer
    return web.fetch(url, method="HEAD", headers=headers, ca_file=declared.ca_file)


def _token(challenge: str, reference: Reference, declared: Image, login: Secret | None) -> str:
    asked = dict(_CHALLENGE.findall(challenge))
    realm = asked.get("realm", "")
    if not realm.startswith("https://"):
        raise UnreadableAnswer(f"{reference.registry} names no token service", challenge[:200])
    scope = f"repository:{reference.name}:pull"
    query = urlencode({"service": asked.get("service", ""), "scope": scope})
    headers = web.basic(login) if login is not None else {}
    answer = web.fetch(f"{realm}?{query}", headers=headers, ca_file=declared.ca_file)
    try:
        said = json.loads(answer.body)
        return str(said.get("token") or said["access_token"])
    except (ValueError, KeyError, AttributeError):
        raise TransportError(f"no token from {realm}", f"HTTP {answer.status}") from None
