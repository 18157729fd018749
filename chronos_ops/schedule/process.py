"""Which process is meant, also after its number was given to another, and after a reboot."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STATE, _GROUP, _START = 0, 2, 19  # fields 3, 5 and 22 of proc(5), counted from behind the name


@dataclass(frozen=True)
class Process:
    """`start`: clock ticks since the boot."""

    boot: str
    pid: int
    start: int

    def alive(self) -> bool:
        return self.boot == _boot() and self.start == _start(self.pid)

    def leads_a_group(self) -> bool:
        """Alive, or dead with members of its process group left: they keep its number from others.

        A zombie that nobody waits for is none of either.
        """
        if self.boot != _boot() or _start(self.pid) not in (self.start, -1):
            return False
        return any(group == self.pid for group in _groups())


def process_of(pid: int) -> Process:
    """The one that has this number now."""
    return Process(_boot(), pid, _start(pid))


def this_process() -> Process:
    return process_of(os.getpid())


def _boot() -> str:
    return _BOOT.read_text(encoding="ascii").strip()


def _start(pid: int) -> int:
    """-1: there is no such process (a dead one that nobody has waited for is none)."""
    fields = _fields(Path(f"/proc/{pid}"))
    return int(fields[_START]) if fields else -1


def _groups() -> Iterator[int]:
    """The process groups of all that lives."""
    for path in Path("/proc").glob("[0-9]*"):
        if fields := _fields(path):
            yield int(fields[_GROUP])


def _fields(process: Path) -> list[str]:
    try:
        text = (process / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = text.rpartition(")")[2].split()
    return [] if fields[_STATE] in ("Z", "X") else fields
