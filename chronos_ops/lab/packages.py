"""A small caching mirror of Debian packages on the lab's bridge.

Started from its source alone (`python -I - < packages.py`) as an unprivileged user who need not be
able to read this checkout: standard library only, no import of ours.

Packages and by-hash files never change and are kept. Indices are asked for again when they are
older than a few minutes; if the mirror above does not answer, the old ones are served with a
warning. The cache is shared by all labs of the machine.
"""

import argparse
import email.utils
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FRESH_SECONDS = 300.0
TIMEOUT_SECONDS = 60
REDIRECTS = 5
SAFE = re.compile(r"/(debian|debian-security)(/[A-Za-z0-9+~:_%-][A-Za-z0-9+~:._%-]*)+")


class Unanswered(Exception):
    """The mirror above gave no usable answer; `status` is what it said, or 502."""

    def __init__(self, text: str, status: int = 502) -> None:
        super().__init__(text)
        self.status = status


class Upstream(threading.local):
    """One kept-alive connection per thread and place."""

    def __init__(self, proxy: str | None) -> None:
        self.proxy = urllib.parse.urlsplit(proxy) if proxy else None
        self.connections: dict[tuple[str, str], http.client.HTTPConnection] = {}

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()

    def fetch(self, url: str, since: str | None, part: Path) -> http.client.HTTPResponse:
        """Write the body of a 200 to `part`. Raises Unanswered, OSError, HTTPException."""
        for _ in range(REDIRECTS):
            response = self._get(url, {"If-Modified-Since": since} if since else {})
            if response.status == 200:
                with part.open("wb") as out:
                    shutil.copyfileobj(response, out, 1 << 18)
                self._whole(response, part)
                return response
            response.read()
            if response.status == 304:
                return response
            if response.status not in {301, 302, 303, 307, 308}:
                raise Unanswered(f"{response.status} {response.reason}", response.status)
            url = urllib.parse.urljoin(url, response.headers.get("Location", ""))
        raise Unanswered("too many redirections")

    @staticmethod
    def _whole(response: http.client.HTTPResponse, part: Path) -> None:
        wanted = response.headers.get("Content-Length")
        if wanted is not None and part.stat().st_size != int(wanted):
            raise Unanswered(f"cut off after {part.stat().st_size} of {wanted} bytes")

    def _get(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        address = urllib.parse.urlsplit(url)
        place = (address.scheme, address.netloc)
        path = address.path + (f"?{address.query}" if address.query else "")
        plain_proxy = self.proxy is not None and address.scheme == "http"
        for attempt in (1, 2):  # a kept connection may have been closed meanwhile
            try:
                connection = self.connections.get(place) or self._connect(address)
                self.connections[place] = connection
                connection.request("GET", url if plain_proxy else path, headers=headers)
                return connection.getresponse()
            except (OSError, http.client.HTTPException):
                if stale := self.connections.pop(place, None):
                    stale.close()
                if attempt == 2:
                    raise
        raise AssertionError

    def _connect(self, address: urllib.parse.SplitResult) -> http.client.HTTPConnection:
        at = self.proxy or address
        host, port = at.hostname or "", at.port
        if address.scheme == "https":
            context = ssl.create_default_context()
            secure = http.client.HTTPSConnection(
                host, port or 443, timeout=TIMEOUT_SECONDS, context=context
            )
            if self.proxy:
                secure.set_tunnel(address.hostname or "", address.port or 443)
            return secure
        return http.client.HTTPConnection(host, port or 80, timeout=TIMEOUT_SECONDS)


def never_changes(path: str) -> bool:
    """A package, or an index named by its own digest."""
    return path.endswith((".deb", ".udeb")) or "/by-hash/" in path


def is_what_it_says(path: str, part: Path) -> bool:
    """A page of some portal must not be kept for ever as a package."""
    if path.endswith((".deb", ".udeb")):
        with part.open("rb") as file:
            return file.read(8) == b"!<arch>\n"
    if "/by-hash/SHA256/" in path:
        with part.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == path.rsplit("/", 1)[1]
    return True


class Cache:
    """The files below `folder`, and where each comes from."""

    def __init__(self, folder: Path, sources: dict[str, str], proxy: str | None) -> None:
        self.folder = folder
        self.sources = sources
        self.upstream = Upstream(proxy)
        self.asked: dict[str, float] = {}
        self.locks: dict[str, threading.Lock] = {}
        self.guard = threading.Lock()

    def get(self, path: str) -> tuple[Path, str | None]:
        """The file, and a warning if it is old. Raises Unanswered."""
        with self.guard:
            lock = self.locks.setdefault(path, threading.Lock())
        with lock:
            kept = self.folder / path.lstrip("/")
            if kept.is_file() and (never_changes(path) or self._fresh(path)):
                return kept, None
            try:
                self._refresh(path, kept)
            except (OSError, http.client.HTTPException, Unanswered) as error:
                gone = isinstance(error, Unanswered) and error.status in {404, 410}
                if kept.is_file() and not gone:
                    return kept, f'110 - "kept copy; the mirror said: {error}"'
                raise error if isinstance(error, Unanswered) else Unanswered(str(error)) from error
            self.asked[path] = time.monotonic()
            return kept, None

    def _fresh(self, path: str) -> bool:
        return time.monotonic() - self.asked.get(path, -FRESH_SECONDS) < FRESH_SECONDS

    def _refresh(self, path: str, kept: Path) -> None:
        repository, _, rest = path.lstrip("/").partition("/")
        since = (
            email.utils.formatdate(kept.stat().st_mtime, usegmt=True) if kept.is_file() else None
        )
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_name(f".{kept.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            response = self.upstream.fetch(f"{self.sources[repository]}/{rest}", since, part)
            if response.status == 304:
                return
            if not is_what_it_says(path, part):
                raise Unanswered("the body is not what its name says")
            stamp = email.utils.parsedate_tz(response.headers.get("Last-Modified", ""))
            if stamp:
                os.utime(part, (time.time(), email.utils.mktime_tz(stamp)))
            part.replace(kept)
        finally:
            part.unlink(missing_ok=True)


class Handler(BaseHTTPRequestHandler):
    """Answers apt."""

    protocol_version = "HTTP/1.1"
    cache: Cache
    timeout = 120
    wbufsize = -1

    def finish(self) -> None:
        """Each connection is a thread's, and so are the connections above it."""
        super().finish()
        self.cache.upstream.close()

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = urllib.parse.urlsplit(self.path).path
        if not SAFE.fullmatch(path):
            self._refuse(400, "not a path of a Debian archive")
            return
        try:
            file, warning = self.cache.get(path)
        except Unanswered as error:
            self._refuse(error.status, str(error))
            return
        changed = email.utils.formatdate(int(file.stat().st_mtime), usegmt=True)
        if self.headers.get("If-Modified-Since") == changed:
            self.send_response(304)
            self.end_headers()
            return
        with file.open("rb") as content:
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(content.fileno()).st_size))
            self.send_header("Last-Modified", changed)
            if warning:
                self.send_header("Warning", warning)
                self.log_message("%s %s", path, warning)
            self.end_headers()
            if body:
                shutil.copyfileobj(content, self.wfile, 1 << 18)

    def _refuse(self, status: int, text: str) -> None:
        self.log_message("%s %s: %s", status, self.path, text)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Successes are not worth a line."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
        sys.stderr.write(f"{self.log_date_time_string()} {format % args}\n")
        sys.stderr.flush()


class Server(ThreadingHTTPServer):
    """Closed connections are apt's right."""

    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError, socket.timeout)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--sources", type=json.loads, required=True)
    parser.add_argument("--proxy")
    given = parser.parse_args()
    Handler.cache = Cache(given.cache, given.sources, given.proxy)
    Server((given.listen, given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
