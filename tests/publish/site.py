"""A server on loopback that takes requests as Atlassian documents them, and no others.

developer.atlassian.com: Confluence Cloud REST API v2 (spaces, pages), Confluence Data Center REST
API (space, content), Jira REST API v2 (issue comments). What it stores it changes as Confluence
does: macros get ids, white space goes.
"""

import base64
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

TOKEN = "ATATT3xFfGF0-the-token"
USER = "ops@example.org"
Answer = tuple[int, dict[str, Any]]


class Wrong(Exception):
    """A request that Atlassian would not take."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


@dataclass
class Site:
    """What the server holds; `requests` is what it was asked, `fail` what it answers instead."""

    spaces: dict[str, str] = field(default_factory=lambda: {"OPS": "65537"})
    pages: dict[str, dict[str, Any]] = field(default_factory=dict)
    issues: dict[str, list[str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    fail: dict[str, int] = field(
        default_factory=dict
    )  # "PUT": a status; -1: no answer; -2: done, and no answer
    before: dict[str, Any] = field(default_factory=dict)  # "PUT": a call just before it
    url: str = ""

    @property
    def writes(self) -> list[str]:
        return [line for line in self.requests if not line.startswith("GET")]

    def edit(self, title: str, message: str = "") -> None:
        """Somebody edits a page in the browser."""
        page = next(page for page in self.pages.values() if page["title"] == title)
        page["value"] = page["value"].replace("Promise", "My promise")
        page["number"] += 1
        page["message"] = message

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        """The answer to a request that was logged in."""
        for pattern, function in (
            (r"GET /wiki/api/v2/spaces", self._spaces_v2),
            (r"(GET|POST) /wiki/api/v2/pages", self._pages_v2),
            (r"PUT /wiki/api/v2/pages/(\d+)", self._put_v2),
            (r"GET /wiki/rest/api/space", self._spaces_v1),
            (r"(GET|POST) /wiki/rest/api/content", self._pages_v1),
            (r"PUT /wiki/rest/api/content/(\d+)", self._put_v1),
            (r"(GET|POST) /rest/api/2/issue/([A-Z]+-\d+)/comment", self._comments),
        ):
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return function(query, body, *found.groups())
        raise Wrong(404, f"no such resource: {method} {path}")

    # -- Confluence, v2

    def _spaces_v2(self, query: dict[str, str], _body: Any) -> Answer:
        _only(query, {"keys"})
        found = [{"id": i, "key": k} for k, i in self.spaces.items() if k == query["keys"]]
        return 200, {"results": found, "_links": {}}

    def _pages_v2(self, query: dict[str, str], body: Any, method: str) -> Answer:
        if method == "GET":
            _only(query, {"space-id", "title", "status", "body-format"})
            assert query["space-id"] in self.spaces.values()
            found = [self._shown(i) for i, p in self.pages.items() if p["title"] == query["title"]]
            return 200, {"results": found, "_links": {}}
        _only(body, {"spaceId", "status", "title", "body"}, {"parentId"})
        if body["spaceId"] not in self.spaces.values():
            raise Wrong(404, "no such space")
        return 200, self._made(body["title"], body["body"], body.get("parentId", ""))

    def _put_v2(self, _query: dict[str, str], body: Any, identifier: str) -> Answer:
        _only(body, {"id", "status", "title", "body", "version"})
        assert body["id"] == identifier
        return 200, self._written(identifier, body["title"], body["body"], body["version"])

    # -- Confluence, v1

    def _spaces_v1(self, query: dict[str, str], _body: Any) -> Answer:
        _only(query, {"spaceKey"})
        return 200, {"results": [{"key": k} for k in self.spaces if k == query["spaceKey"]]}

    def _pages_v1(self, query: dict[str, str], body: Any, method: str) -> Answer:
        if method == "GET":
            _only(query, {"type", "spaceKey", "title", "expand"})
            assert (query["type"], query["expand"]) == ("page", "body.storage,version")
            found = [self._shown(i) for i, p in self.pages.items() if p["title"] == query["title"]]
            return 200, {"results": found, "start": 0, "limit": 25, "size": len(found)}
        _only(body, {"type", "title", "space", "body"}, {"ancestors"})
        if body["type"] != "page" or body["space"]["key"] not in self.spaces:
            raise Wrong(400, "no such space")
        parents = [parent["id"] for parent in body.get("ancestors", [])]
        return 200, self._made(body["title"], body["body"]["storage"], *parents)

    def _put_v1(self, _query: dict[str, str], body: Any, identifier: str) -> Answer:
        _only(body, {"id", "type", "title", "body", "version"})
        stored = body["body"]["storage"]
        return 200, self._written(identifier, body["title"], stored, body["version"])

    # -- Jira

    def _comments(self, query: dict[str, str], body: Any, method: str, issue: str) -> Answer:
        if issue not in self.issues:
            raise Wrong(404, "Issue does not exist or you do not have permission to see it.")
        known = self.issues[issue]
        if method == "GET":
            _only(query, {"startAt", "maxResults"})
            start, count = int(query["startAt"]), min(int(query["maxResults"]), 2)
            shown = [{"id": str(i), "body": text} for i, text in enumerate(known)]
            page = {"startAt": start, "maxResults": count, "total": len(known)}
            return 200, page | {"comments": shown[start : start + count]}
        _only(body, {"body"})
        known.append(body["body"].replace("{noformat}\n", "{noformat}"))  # as the cloud gives back
        return 201, {"id": str(len(known)), "body": body["body"]}

    # -- pages

    def _shown(self, identifier: str) -> dict[str, Any]:
        page = self.pages[identifier]
        return {
            "id": identifier,
            "status": "current",
            "title": page["title"],
            "version": {"number": page["number"], "message": page["message"]},
            "body": {"storage": {"value": page["value"], "representation": "storage"}},
        }

    def _made(self, title: str, body: dict[str, str], parent: str = "") -> dict[str, Any]:
        if any(page["title"] == title for page in self.pages.values()):
            raise Wrong(400, "A page already exists with the same TITLE in this space")
        identifier = str(98304 + len(self.pages))
        page = {"title": title, "value": _stored(body), "number": 1, "message": ""}
        self.pages[identifier] = page | {"parent": parent}
        return self._shown(identifier)

    def _written(
        self, identifier: str, title: str, body: dict[str, str], version: dict[str, Any]
    ) -> dict[str, Any]:
        page = self.pages.get(identifier)
        if page is None:
            raise Wrong(404, "no such page")
        _only(version, {"number", "message"})
        if version["number"] != page["number"] + 1:
            raise Wrong(409, f"Version must be incremented. Current version is: {page['number']}")
        page.update(title=title, value=_stored(body), **version)
        return self._shown(identifier)


def _only(given: dict[str, Any], needed: set[str], more: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    if not needed <= set(given) <= needed | more:
        raise Wrong(400, f"given {sorted(given)}, wanted {sorted(needed)}")


def _stored(body: dict[str, str]) -> str:
    """Confluence takes well-formed XHTML only, and changes it."""
    if body["representation"] != "storage":
        raise Wrong(400, "not storage format")
    try:
        ElementTree.fromstring(f'<x xmlns:ac="a" xmlns:ri="r">{body["value"]}</x>')  # noqa: S314 - our own text
    except ElementTree.ParseError as error:
        raise Wrong(400, f"Error parsing xhtml: {error}") from None
    told = re.sub(
        r'(ac:name="code")', r'\1 ac:schema-version="1" ac:macro-id="1b2c"', body["value"]
    )
    return re.sub(r">\n<", "><", told).replace("&quot;", '"')


class _Handler(BaseHTTPRequestHandler):
    site: Site
    login: str

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.site.requests.append(f"{self.command} {parts.path}")
        self.site.before.get(self.command, lambda: None)()
        if (status := self.site.fail.get(self.command)) == -1:
            self.close_connection = True
            return
        status, said = self._said(status, parts.path, parts.query, body)
        if self.site.fail.get(self.command) == -2:
            self.close_connection = True
            return
        text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _said(self, *asked: Any) -> Answer:
        try:
            return self._judged(*asked)
        except Wrong as error:
            return error.status, {"message": str(error)}
        except (KeyError, AssertionError) as error:
            return 400, {"message": repr(error)}

    def _judged(self, status: int | None, path: str, query: str, body: bytes) -> Answer:
        if self.headers["Authorization"] != self.login:
            raise Wrong(401, f"Unauthorized: {self.headers['Authorization']}")
        if status and status > 0:
            raise Wrong(status, "as the test wants it")
        if body and self.headers["Content-Type"] != "application/json":
            raise Wrong(415, "not JSON")
        given = {key: values[0] for key, values in parse_qs(query).items()}
        return self.site.answer(self.command, path, given, json.loads(body) if body else None)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - http.server's names


@contextmanager
def serving(
    site: Site, *, cloud: bool = True, leaf: tuple[Path, Path] | None = None
) -> Iterator[Site]:
    """The site on a port of loopback; `leaf`: certificate and key, for HTTPS."""
    login = "Bearer " + TOKEN
    if cloud:
        login = "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()

    handler = type("Handler", (_Handler,), {"site": site, "login": login})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if leaf:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*leaf)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.url = f"{'https' if leaf else 'http'}://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
