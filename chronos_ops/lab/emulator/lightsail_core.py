"""What every Lightsail operation of the lab works with."""

from dataclasses import dataclass
from typing import Any

from chronos_ops.lab.emulator.hosts import Hosts
from chronos_ops.lab.emulator.lightsail_state import Record, State

Arguments = dict[str, Any]
Answer = dict[str, Any]


class LightsailError(Exception):
    """An error as the API types it: `code` is the shape's name."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


@dataclass
class Lightsail:
    """The records, and the hosts behind them."""

    state: State
    hosts: Hosts

    def named(self, kind: str, name: str) -> Record:
        """A record that must exist. Raises LightsailError(NotFoundException)."""
        record = self.state.find(kind, name)
        if record is None:
            raise LightsailError("NotFoundException", f"The {kind} does not exist: {name}")
        return record

    def free_name(self, kind: str, name: str) -> None:
        """Raise LightsailError(InvalidInputException) if the name is taken."""
        if self.state.find(kind, name):
            raise LightsailError("InvalidInputException", f"Some names are already in use: {name}")


def plain(record: Record, *hidden: str) -> Record:
    """The record as the API shows it: without what the lab alone keeps."""
    return {k: v for k, v in record.items() if not k.startswith("_") and k not in hidden}
