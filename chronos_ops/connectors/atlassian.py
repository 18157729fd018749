"""Confluence and Jira by HTTPS. The only importer of atlassian-python-api.

A site of Atlassian's cloud is asked with user and API token (Basic), one of one's own (Data
Center) with a personal access token (Bearer).
"""

import re
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from atlassian.rest_client import AtlassianRestAPI

from chronos_ops.model.errors import ChronosError, Refused, TransportError, UsageError
from chronos_ops.model.secret import Secret

_SECONDS = 30
_LOGIN = re.compile(r"\b(Basic|Bearer)\s+[^\s\"',;]+", re.IGNORECASE)
_LOCAL = re.compile(r"https?://(127\.0\.0\.1|localhost)(:\d+)?(/|$)")


class NotThere(ChronosError):
    """404: no such thing, or this user may not see it; Atlassian does not tell which."""


class Conflict(ChronosError):
    """409: somebody else was faster."""


class Atlassian:
    """One site. Raises UsageError (its address, the token), Refused (rights), NotThere, Conflict,
    TransportError (no answer, or none that says what is so).
    """

    def __init__(self, url: str, token: Secret, user: str = "", ca_file: str | None = None) -> None:
        if "@" in urlsplit(url).netloc:  # not shown: it may hold a password
            raise UsageError("an address with a login in it", hint="the token's place is the store")
        if not (url.startswith("https://") or _LOCAL.match(url)):
            raise UsageError("a token goes over HTTPS only", url, hint="write https://")
        self.url = url.rstrip("/")
        self._token = token
        login: dict[str, Any] = {"token": token.reveal()}
        if user:
            login = {"username": user, "password": token.reveal()}
        self._rest = AtlassianRestAPI(
            self.url,
            timeout=_SECONDS,
            verify_ssl=cast(bool, ca_file or True),  # a file's name, too: it is handed to requests
            retry_with_header=False,
            **login,
        )

    def close(self) -> None:
        """Let the connection go."""
        self._rest.close()

    def ask(self, path: str, **params: str | int) -> Any:
        """The JSON behind a path."""
        return self._send("GET", path, params=params)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Make something."""
        return self._send("POST", path, data=body)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """Write something anew."""
        return self._send("PUT", path, data=body)

    def _send(self, method: str, path: str, **what: Any) -> Any:
        noun = f"{method} {self.url}/{path}"
        try:
            answer = self._rest.request(
                method, path, advanced_mode=True, allow_redirects=False, **what
            )
        except requests.exceptions.SSLError as error:
            hint = "name its CA in `ca_file`, if it is not a public one"
            raise TransportError(f"not trusted: {noun}", self._clean(error), hint=hint) from None
        except (requests.exceptions.RequestException, OSError) as error:
            raise TransportError(f"no answer to {noun}", self._clean(error)) from None
        if answer.status_code // 100 != 2:
            raise self._error(noun, answer)
        try:
            return answer.json()
        except ValueError:
            raise TransportError(f"no JSON came from {noun}", self._clean(answer.text)) from None

    def _error(self, noun: str, answer: Any) -> ChronosError:
        status = int(answer.status_code)
        said = f"HTTP {status} {self._clean(answer.text)}".strip()
        match status:
            case 401:
                hint = "a new token into the secret store; `user` is for Atlassian's cloud alone"
                return UsageError(f"the token is not accepted: {noun}", said, hint=hint)
            case 403:
                return Refused(f"the token's user may not: {noun}", said)
            case 404:
                return NotThere(f"not there, or not for this user: {noun}", said)
            case 409:
                return Conflict(f"somebody else was faster: {noun}", said)
            case 400 | 405 | 413 | 422:
                return ChronosError(f"not accepted: {noun}", said)
            case _ if status // 100 == 3:
                hint = (
                    f"it leads to {answer.headers.get('Location', '?')}: write the site's own URL"
                )
                return UsageError(f"the site is elsewhere: {noun}", said, hint=hint)
        return TransportError(f"no answer that says what is so: {noun}", said, hint="try later")

    def _clean(self, said: object) -> str:
        """What a server said, on one line, without the login that it may have given back."""
        text = _LOGIN.sub(r"\1 ***", str(said).replace(self._token.reveal(), "***"))
        return " ".join(text.split())[:300]
