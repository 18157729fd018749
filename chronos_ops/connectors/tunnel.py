"""A local port that leads through a connection which somebody else has: see Ssh.forward."""

import select
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_CHUNK = 65536
_POLL_SECONDS = 0.1
Peer = tuple[str, int]
OpenChannel = Callable[[Peer], Any]  # a socket-like channel to where the tunnel leads


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False  # closing waits for them, a poll's length at most

    def __init__(self, open_channel: OpenChannel) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.open_channel = open_channel
        self.over = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """The client finds its connection closed: it knows what to say of it."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        channel = self.server.open_channel(self.client_address)
        try:
            _pass_on(self.request, channel, self.server.over)
        finally:
            channel.close()


def _pass_on(client: socket.socket, channel: Any, over: threading.Event) -> None:
    """Both ways, until one side has ended. A client may break off at any time."""
    with suppress(OSError, EOFError):
        while not over.is_set():
            ready, _, _ = select.select([client, channel], [], [], _POLL_SECONDS)
            for source, sink in ((client, channel), (channel, client)):
                if source in ready:
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    sink.sendall(data)


@contextmanager
def tunnel(open_channel: OpenChannel) -> Iterator[int]:
    """A port on 127.0.0.1 that is listened to already; each connection gets its own channel."""
    server = _Server(open_channel)
    thread = threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name="ssh-tunnel", daemon=True
    )
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
