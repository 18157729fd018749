"""Programs of this machine that look at the host from outside: nmap, and the judges' own.

The judges pin old libraries, so they live in an environment of their own, `.venv-judges`, which
the launcher makes (requirements/judges.lock). They are run as programs and never imported.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError

ENVIRONMENT = Path(__file__).resolve().parents[2] / ".venv-judges"
HINTS = {
    "nmap": "install it (Debian: apt-get install nmap); `./chronos` does so by itself",
    "ssh-audit": "`./chronos run security_hardening` makes .venv-judges by itself",
    "sslyze": "`./chronos run security_hardening` makes .venv-judges by itself",
}


class NotInstalled(ChronosError):
    """A program that is needed to know is not on this machine (exit 3: not known)."""

    exit_status = 3


@dataclass(frozen=True)
class Said:
    """What a program answered."""

    exit_code: int
    stdout: str
    stderr: str


def find(name: str) -> str:
    """The program's path: the judges' environment first. Raises NotInstalled with a hint."""
    own = ENVIRONMENT / "bin" / name
    found = str(own) if own.is_file() else shutil.which(name)
    if found is None:
        raise NotInstalled(f"{name} is not installed on this machine", hint=HINTS.get(name, ""))
    return found


def look(context: Context, argv: Sequence[str], *, log: str, timeout: float = 300) -> Said:
    """Run a program that looks at the host; all that it said is kept in logs/<log>.

    Raises NotInstalled, ChronosError (no answer within `timeout` seconds).
    """
    command = [find(argv[0]), *argv[1:]]
    # No proxy of this machine, no user's configuration: what is seen is the host's doing.
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    with context.journal.interval("remote", " ".join(argv)[:120], argv=list(argv)) as closing:
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                stdin=subprocess.DEVNULL,
                env={**environment, "LC_ALL": "C.UTF-8", "NO_COLOR": "1"},
            )
        except subprocess.TimeoutExpired:
            raise ChronosError(
                f"{argv[0]} did not end in {timeout:.0f} s", " ".join(argv)
            ) from None
        closing["exit_code"] = done.returncode
    path = context.folder / "logs" / log
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"$ {' '.join(argv)}\n{done.stdout}{done.stderr}[exit {done.returncode}]\n")
    return Said(done.returncode, done.stdout, done.stderr)
