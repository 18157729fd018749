"""Which process is meant, also after its number was given to another, and after a reboot."""

import os
from dataclasses import dataclass
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STATE, _START = 0, 19  # fields 3 and 22 of proc(5), counted from behind the name


@dataclass(frozen=True)
class Process:
    """`start`: clock ticks since the boot."""

    boot: str
    pid: int
    start: int

    def alive(self) -> bool:
        return self.boot == _boot() and self.start == _start(self.pid)


def process_of(pid: int) -> Process:
    """The one that has this number now."""
    return Process(_boot(), pid, _start(pid))


def this_process() -> Process:
    return process_of(os.getpid())


def _boot() -> str:
    return _BOOT.read_text(encoding="ascii").strip()


def _start(pid: int) -> int:
    """-1: there is no such process (a dead one that nobody has waited for is none)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return -1
    fields = text.rpartition(")")[2].split()
    return -1 if fields[_STATE] in ("Z", "X") else int(fields[_START])
