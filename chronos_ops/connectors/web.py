"""One HTTP(S) request, and whether a TCP port answers, as seen from here."""

import base64
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chronos_ops.model.errors import TransportError, UsageError
from chronos_ops.model.secret import Secret

_SECONDS = 10.0
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back; `headers` by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    ca_file: str | None = None,
) -> Answer:
    """The answer, whatever its status; redirects are answers. Raises TransportError, UsageError."""
    if not url.startswith(("https://", "http://")):
        raise UsageError("not the URL of a web server", url)
    try:
        trust = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise UsageError("the CA file cannot be read", f"{ca_file}: {error}") from None
    opener = urllib.request.build_opener(_Stay(), urllib.request.HTTPSHandler(context=trust))
    asked = urllib.request.Request(url, headers=dict(headers or {}), method=method)  # noqa: S310 - as judged
    try:
        with opener.open(asked, timeout=_SECONDS) as answer:
            return _answer(answer)
    except urllib.error.HTTPError as error:
        with error:
            return _answer(error)
    except (OSError, http.client.HTTPException) as error:
        raise TransportError(f"no answer from {url}", getattr(error, "reason", error)) from None


def connects(host: str, port: int) -> None:
    """Raises TransportError unless the port accepts a connection."""
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError as error:
        raise TransportError(f"no answer from {host}:{port}", error) from None


def basic(credentials: Secret) -> dict[str, str]:
    """The header of `user:password`."""
    return {"Authorization": "Basic " + base64.b64encode(credentials.reveal().encode()).decode()}


def _answer(answer: Any) -> Answer:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(int(answer.status), headers, answer.read(_MOST_BYTES))
