"""A tunnel's own promises, with sockets in the place of SSH channels."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from chronos_ops.connectors.tunnel import tunnel


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers each connection with what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()
        server.settimeout(0.05)

        def serve() -> None:
            while not over.is_set():
                try:
                    client, _ = server.accept()
                except TimeoutError:
                    continue
                with client, suppress(ConnectionError):
                    while data := client.recv(1024):
                        client.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        thread.join()


def talk(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(text)
        return client.recv(1024)


def test_each_connection_gets_its_own_channel_at_once(echo: int) -> None:
    with tunnel(lambda _: socket.create_connection(("127.0.0.1", echo), 5)) as port:
        assert talk(port, b"one") == b"one"
        assert talk(port, b"two") == b"two"
    with pytest.raises(ConnectionRefusedError):
        talk(port, b"closed")


def test_a_client_that_breaks_off_harms_nobody(echo: int) -> None:
    with tunnel(lambda _: socket.create_connection(("127.0.0.1", echo), 5)) as port:
        rude = socket.create_connection(("127.0.0.1", port), 5)
        rude.sendall(b"x")
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        rude.close()
        assert talk(port, b"next") == b"next"


def test_where_there_is_no_channel_the_client_is_turned_away() -> None:
    def refuse(_: tuple[str, int]) -> socket.socket:
        raise ConnectionRefusedError("administratively prohibited")

    with tunnel(refuse) as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        assert client.recv(1) == b""


def test_an_open_connection_does_not_keep_the_tunnel(echo: int) -> None:
    with tunnel(lambda _: socket.create_connection(("127.0.0.1", echo), 5)) as port:
        client = socket.create_connection(("127.0.0.1", port), 5)
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    with client:
        assert client.recv(1) == b""
