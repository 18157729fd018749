"""Fresh labs for faults, through the command line; what a killed run of faults left is cleared.

Fresh is a lab whose disks and AWS were put back to the moment when it had just been set up. It is
named after the process that asked for it: `flt-<pid>-<number>`. Whose process is gone, nobody asks
for again.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from chronos_ops.evidence.folder import (
    NOTEBOOK_VARIABLE,
    PREFIX_VARIABLE,
    RUN_DIR_VARIABLE,
    RUN_ID_VARIABLE,
    checkout,
    outputs_dir,
)
from chronos_ops.evidence.secrets import SOCKET_VARIABLE
from chronos_ops.model.errors import ChronosError

_NAME = re.compile(r"flt-(\d+)-\d+")
_LAB_SECONDS = 1200.0
_OURS = {
    RUN_DIR_VARIABLE,
    RUN_ID_VARIABLE,
    NOTEBOOK_VARIABLE,
    PREFIX_VARIABLE,
    SOCKET_VARIABLE,
    "IPYTHONDIR",
    "FORCE_COLOR",  # a kernel sets these: logs would hold every turn of a spinner
    "CLICOLOR",
    "CLICOLOR_FORCE",
}


def command(*words: str) -> list[str]:
    """The command line of this checkout, by this interpreter."""
    return [sys.executable, "-m", "chronos_ops", *words]


def environment() -> dict[str, str]:
    """As an operator's shell has it: nothing of the run that asks."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    return {**kept, "TERM": "dumb"}


def call(words: Sequence[str], log: Path) -> None:
    """Run a command to its end, its output into a log. Raises ChronosError (exit status)."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as sink:
        done = subprocess.run(
            command(*words),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=checkout(),
            env=environment(),
            timeout=_LAB_SECONDS,
        )
    if done.returncode:
        raise ChronosError(
            f"`chronos {' '.join(words)}` ended with exit status {done.returncode}",
            "\n".join(log.read_text(encoding="utf-8").splitlines()[-5:]),
            hint=f"all of it is in {log.name} of this run",
        )


class Lab:
    """A lab of this process alone, made at first use; afterwards put back to what it was then."""

    def __init__(self, number: int, set_up: Callable[[str, Path], None]) -> None:
        self.name = f"flt-{os.getpid()}-{number:02}"
        self._set_up = set_up  # what makes a bare lab the fresh state; its name, a folder for logs
        self._kept = False

    def fresh(self, logs: Path) -> None:
        """As it was when it had just been set up. Raises ChronosError."""
        shelf, log = outputs_dir() / self.name, logs / "lab.log"
        if not self._kept:
            shelf.mkdir(exist_ok=True)  # the trace by which a killed run's lab is found again
            call(["lab", "up", "--name", self.name], log)
            self._set_up(self.name, logs)
            call(["lab", "keep", "--name", self.name], log)
            shutil.copytree(shelf, _kept(self.name), dirs_exist_ok=True)
            self._kept = True
        else:
            call(["lab", "put-back", "--name", self.name], log)
            shutil.rmtree(shelf)  # its archive's index must agree with the bucket's
            shutil.copytree(_kept(self.name), shelf)


def _kept(name: str) -> Path:
    return outputs_dir() / f"{name}.kept"


def remove(name: str, log: Path) -> None:
    """End a lab, and forget its runs. Raises ChronosError."""
    call(["lab", "down", "--name", name], log)
    shutil.rmtree(_kept(name), ignore_errors=True)
    shutil.rmtree(outputs_dir() / name, ignore_errors=True)


def clear(log: Path, *, own: bool) -> list[str]:
    """Remove the labs of dead processes, and with `own` those of this one; their names."""
    gone = []
    for folder in sorted(outputs_dir().glob("flt-*")):
        found = _NAME.fullmatch(folder.name)
        if not found:
            continue
        mine = int(found[1]) == os.getpid()
        if own if mine else not Path("/proc", found[1]).exists():
            remove(folder.name, log)
            gone.append(folder.name)
    return gone
