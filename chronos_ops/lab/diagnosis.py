"""A host that boots and does not answer: what it looks like from inside, before it is ended."""

import contextlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

_ASKED = (
    ("ip", "-brief", "address"),
    ("systemctl", "--no-pager", "list-jobs"),
    ("systemctl", "--no-pager", "--failed"),
    ("journalctl", "--no-pager", "-b", "-n", "60", "-o", "short-monotonic"),
)
_SECONDS = 3


def diagnose(pids: Iterable[int], leader: int | None) -> str:
    """Its processes, and what its own tools say. Never raises: some of it may hang or be gone."""
    parts = ["processes (pid, state, waits in, command):"]
    parts += [line for pid in sorted(pids) if (line := _process(pid))]
    for argv in _ASKED if leader else ():
        parts += [f"$ {' '.join(argv)}", _said(leader, argv)]
    return "\n".join(parts) + "\n"


def _process(pid: int) -> str:
    with contextlib.suppress(OSError):
        folder = Path(f"/proc/{pid}")
        state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        waits = (folder / "wchan").read_text() or "-"
        return f"  {pid} {state} {waits} {(folder / 'comm').read_text().strip()}"
    return ""


def _said(leader: int | None, argv: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(
            ["nsenter", "-t", str(leader), "-m", "-p", "-n", "-u", "-i", *argv],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"  no answer: {error}"
    return (done.stdout + done.stderr).rstrip()
