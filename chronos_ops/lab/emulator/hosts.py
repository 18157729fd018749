"""The lab's hosts, asked of the lab's root daemon by one JSON line, answered by one.

The protocol is chronos_ops/lab/protocol.py; here without the rest of the package."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Answer = dict[str, Any]


class HostError(Exception):
    """The daemon refused or failed; the text is its reason."""


class NoSuchHost(HostError):
    """The daemon knows no host of that name."""


@dataclass(frozen=True)
class Hosts:
    """The daemon behind `path`. Every call is a connection of its own."""

    path: Path

    def ask(self, op: str, *, timeout_seconds: float = 120, **arguments: Any) -> Answer:
        """One request. Raises HostError."""
        line = json.dumps({"op": op, **arguments}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as pipe:
                pipe.settimeout(timeout_seconds)
                pipe.connect(str(self.path))
                pipe.sendall(line)
                answer = pipe.makefile("rb").readline()
        except OSError as error:
            raise HostError(f"the lab's daemon does not answer on {self.path}: {error}") from None
        if not answer:
            raise HostError(f"the lab's daemon hung up on {op}")
        return _read(op, json.loads(answer))


def _read(op: str, answer: Answer) -> Answer:
    if not answer.get("ok"):
        text = f"{op}: {answer.get('error', answer)}"
        raise NoSuchHost(text) if answer.get("kind") == "unknown_host" else HostError(text)
    result: Answer = answer["result"]
    return result
