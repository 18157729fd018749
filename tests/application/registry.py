"""A container registry on loopback, as the OCI Distribution Specification and Docker's token
authentication describe it; and an application's web server beside it."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chronos_ops.lab.authority import make_authority

DIGEST = "sha256:" + "5f" * 32
PULLER = "puller:open-sesame"


@dataclass
class Registry:
    """`images`: manifests by name and reference; `private`: names that want a login."""

    address: str = ""
    ca_file: str = ""
    images: dict[tuple[str, str], str] = field(
        default_factory=lambda: {("team/app", "1.4"): DIGEST}
    )
    private: set[str] = field(default_factory=set)
    status: int = 0  # answered instead, if set
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{self.address}"


@contextmanager
def serving(folder: Path) -> Iterator[Registry]:
    """The registry over HTTPS, with a CA of its own in `folder`."""
    authority = make_authority(folder / "registry-ca")
    leaf = authority.issue("registry", ["127.0.0.1"], folder / "registry-leaf")
    registry = Registry(ca_file=str(authority.ca_file))

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self) -> None:
            registry.requests.append(f"{self.command} {self.path}")
            status, headers, body = _answer(registry, self.command, self.path, dict(self.headers))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        do_GET = do_HEAD = _serve  # noqa: N815 - http.server's names

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.chain, leaf.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    registry.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(
    registry: Registry, method: str, path: str, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(path)
    if registry.status:
        return registry.status, {}, b""
    if parts.path == "/health":
        return 200, {}, b"well"
    if parts.path == "/moved":
        return 301, {"Location": "/health"}, b""
    if parts.path == "/token":
        scope = parse_qs(parts.query)["scope"][0]
        login = "Basic " + base64.b64encode(PULLER.encode()).decode()
        right = "pull" if headers.get("Authorization") == login else "anonymous"
        return 200, {}, json.dumps({"token": f"{right} {scope}"}).encode()
    words = parts.path.split("/")
    name, reference = "/".join(words[2:-2]), words[-1]
    assert (method, words[1], words[-2]) == ("HEAD", "v2", "manifests"), "a look pulls nothing"
    assert "application/vnd.oci.image.index.v1+json" in headers["Accept"]
    scope = f"repository:{name}:pull"
    token = headers.get("Authorization", "")
    if token not in (f"Bearer pull {scope}", f"Bearer anonymous {scope}"):
        realm = f'Bearer realm="{registry.url}/token",service="loopback",scope="{scope}"'
        return 401, {"Www-Authenticate": realm}, b""
    if name in registry.private and not token.startswith("Bearer pull"):
        return 403, {}, b""
    if digest := registry.images.get((name, reference)):
        return 200, {"Docker-Content-Digest": digest}, b""
    return 404, {}, b""
