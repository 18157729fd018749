"""Fresh labs for faults, through the command line; what a killed run of faults left is cleared.

A lab is named after the process that asked for it: `flt-<pid>-<number>`. Whose process is gone,
nobody asks for again.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
}


def command(*words: str) -> list[str]:
    """The command line of this checkout, by this interpreter."""
    return [sys.executable, "-m", "chronos_ops", *words]


def environment() -> dict[str, str]:
    """As an operator's shell has it: nothing of the run that asks."""
    return {name: value for name, value in os.environ.items() if name not in _OURS}


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


@contextmanager
def fresh_lab(number: int, log: Path) -> Iterator[str]:
    """The name of a lab of this process alone; gone afterwards. Raises ChronosError."""
    name = f"flt-{os.getpid()}-{number:02}"
    (outputs_dir() / name).mkdir(exist_ok=True)  # the trace by which it is found again
    try:
        call(["lab", "up", "--name", name], log)
        yield name
    finally:
        remove(name, log)


def remove(name: str, log: Path) -> None:
    """End a lab, and forget its runs. Raises ChronosError."""
    call(["lab", "down", "--name", name], log)
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
