import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos_ops.lab import protocol
from chronos_ops.lab.errors import LabError


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[tuple[Path, list[bytes], list[bytes]]]:
    """A socket, what it will answer, and what it was asked."""
    path = tmp_path / "s"
    answers: list[bytes] = []
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            pipe, _ = server.accept()
            with pipe, pipe.makefile("rb") as reader:
                asked.append(reader.readline())
                pipe.sendall(answers[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path, answers, asked
        thread.join(5)


def test_a_request_and_its_result(answering: tuple[Path, list[bytes], list[bytes]]) -> None:
    path, answers, asked = answering
    answers.append(protocol.success({"hosts": []}))
    assert protocol.call(path, "list", name="db") == {"hosts": []}
    assert json.loads(asked[0]) == {"op": "list", "name": "db"}


def test_a_refusal_arrives_whole(answering: tuple[Path, list[bytes], list[bytes]]) -> None:
    path, answers, _ = answering
    sent = LabError("no such host", "'x'", hint="there is: db", kind="unknown_host")
    answers.append(protocol.refusal(sent))
    with pytest.raises(LabError) as got:
        protocol.call(path, "info", name="x")
    assert got.value.text() == sent.text()
    assert got.value.kind == "unknown_host"


def test_a_daemon_that_hangs_up(answering: tuple[Path, list[bytes], list[bytes]]) -> None:
    path, answers, _ = answering
    answers.append(b"")
    with pytest.raises(LabError, match="hung up on ping") as got:
        protocol.call(path, "ping")
    assert got.value.kind == "unanswered"


def test_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="does not answer ping") as got:
        protocol.call(tmp_path / "none", "ping")
    assert got.value.kind == "unanswered"
