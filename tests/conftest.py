"""What holds for every test."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

os.environ["MPLBACKEND"] = "Agg"  # charts are drawn to files, no display is looked for
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

_LAB = Path(__file__).parent / "lab"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in tests/lab is a lab test, also where its author forgot to say so."""
    for item in items:
        if _LAB in item.path.parents:
            item.add_marker(pytest.mark.lab)


@pytest.fixture(autouse=True)
def _alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fast test neither reaches a network nor knows the operator's AWS identity."""
    if request.node.get_closest_marker("lab") is None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            if name != "AWS_EC2_METADATA_DISABLED":
                monkeypatch.delenv(name)
        connect = socket.socket.connect

        def only_here(self: socket.socket, address: Any) -> None:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _loopback(address[0]):
                raise AssertionError(f"a fast test reached for the network: {address}")
            connect(self, address)

        monkeypatch.setattr(socket.socket, "connect", only_here)


def _loopback(host: str) -> bool:
    return host.startswith("127.") or host in ("::1", "localhost")
