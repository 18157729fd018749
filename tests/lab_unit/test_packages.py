"""The package mirror between a mirror above (played here, on loopback) and a client."""

import hashlib
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chronos_ops.lab import packages

DEB = b"!<arch>\ndebian-binary"
INDEX = b"Package: x\n"
BY_HASH = f"/debian/dists/t/by-hash/SHA256/{hashlib.sha256(INDEX).hexdigest()}"


class Above:
    """What the mirror above serves, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.down = False
        self.cut_off = False
        above = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                above.asked.append(self.path)
                body = above.files.get(self.path)
                unchanged = self.headers.get("If-Modified-Since") is not None
                status = 503 if above.down else 404 if body is None else 304 if unchanged else 200
                sent = body if status == 200 and body is not None else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent) + (5 if above.cut_off else 0)))
                self.send_header("Last-Modified", "Sun, 01 Nov 2026 00:00:00 GMT")
                if above.cut_off:
                    self.close_connection = True
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.server.daemon_threads = True


@pytest.fixture
def above() -> Iterator[Above]:
    above = Above()
    thread = threading.Thread(target=above.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield above
    above.server.shutdown()
    above.server.server_close()
    thread.join()


@pytest.fixture
def cache(above: Above, tmp_path: Path) -> Iterator[packages.Cache]:
    base = f"http://127.0.0.1:{above.server.server_port}"
    sources = {"debian": base, "debian-security": f"{base}/security"}
    cache = packages.Cache(tmp_path, sources, None)
    yield cache
    cache.upstream.close()


def test_a_package_is_fetched_once_and_kept(above: Above, cache: packages.Cache) -> None:
    above.files["/pool/x.deb"] = DEB
    for _ in range(2):
        file, warning = cache.get("/debian/pool/x.deb")
        assert file.read_bytes() == DEB
        assert warning is None
    assert above.asked == ["/pool/x.deb"]


def test_the_security_archive_has_its_own_place(above: Above, cache: packages.Cache) -> None:
    above.files["/security/pool/x.deb"] = DEB
    cache.get("/debian-security/pool/x.deb")
    assert above.asked == ["/security/pool/x.deb"]


def test_an_index_is_asked_for_again_when_it_is_old(
    above: Above, cache: packages.Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    above.files["/dists/t/InRelease"] = INDEX
    cache.get("/debian/dists/t/InRelease")
    cache.get("/debian/dists/t/InRelease")
    assert len(above.asked) == 1
    monkeypatch.setattr(packages, "FRESH_SECONDS", -1.0)
    file, warning = cache.get("/debian/dists/t/InRelease")
    assert (len(above.asked), file.read_bytes(), warning) == (2, INDEX, None)


def test_an_old_index_is_served_with_a_warning_while_the_mirror_is_down(
    above: Above, cache: packages.Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    above.files["/dists/t/InRelease"] = INDEX
    cache.get("/debian/dists/t/InRelease")
    monkeypatch.setattr(packages, "FRESH_SECONDS", -1.0)
    above.down = True
    file, warning = cache.get("/debian/dists/t/InRelease")
    assert file.read_bytes() == INDEX
    assert warning is not None
    assert "503" in warning
    with pytest.raises(packages.Unanswered, match="503"):
        cache.get("/debian/dists/t/never-seen")


def test_what_is_not_there_is_not_found(above: Above, cache: packages.Cache) -> None:
    with pytest.raises(packages.Unanswered) as error:
        cache.get("/debian/pool/none.deb")
    assert error.value.status == 404
    assert above.asked == ["/pool/none.deb"]


@pytest.mark.parametrize("path", ["/debian/pool/x.deb", BY_HASH])
def test_a_portals_page_is_not_kept_as_a_package(
    above: Above, cache: packages.Cache, path: str, tmp_path: Path
) -> None:
    above.files[path.removeprefix("/debian")] = b"<html>please log in</html>"
    with pytest.raises(packages.Unanswered, match="not what its name says"):
        cache.get(path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_body_that_was_cut_off_is_not_kept(
    above: Above, cache: packages.Cache, tmp_path: Path
) -> None:
    above.files["/pool/x.deb"] = DEB
    above.cut_off = True
    with pytest.raises(packages.Unanswered):
        cache.get("/debian/pool/x.deb")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    "path",
    [
        "/debian/../etc/shadow",
        "/debian/pool/..",
        "/etc/shadow",
        "/debian",
        "/debian//x",
        "/debian/pool/.x",
    ],
)
def test_only_paths_of_an_archive_are_served(path: str) -> None:
    assert packages.SAFE.fullmatch(path) is None


class JoinedServer(packages.Server):
    daemon_threads = False  # so that leaving its context waits for them


def test_apt_is_answered_over_http(above: Above, cache: packages.Cache) -> None:
    above.files["/pool/g++_1%2b2.deb"] = DEB
    handler = type("Handler", (packages.Handler,), {"cache": cache})
    with JoinedServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        try:
            client.request("GET", "/debian/pool/g++_1%2b2.deb")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, DEB)
            same = {"If-Modified-Since": answer.headers["Last-Modified"]}
            client.request("GET", "/debian/pool/g++_1%2b2.deb", headers=same)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (304, b"")
            client.request("GET", "/etc/passwd")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (400, b"")
        finally:
            client.close()
            server.shutdown()
            thread.join()
