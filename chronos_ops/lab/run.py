"""Run one of Debian's tools; its complaint becomes a LabError."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from chronos_ops.lab.errors import LabError


def run(
    argv: Sequence[str | Path],
    *,
    text: str | None = None,
    timeout_seconds: float = 60,
    env: Mapping[str, str] | None = None,
) -> str:
    """Its standard output. Raises LabError with what it wrote to standard error."""
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=env,
        )
    except FileNotFoundError:
        raise LabError(
            "a program is missing", argv[0], hint="./chronos lab up installs it"
        ) from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{argv[0]} did not end within {timeout_seconds:.0f} s") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise LabError(f"{' '.join(str(part) for part in argv[:4])} failed", said)
    return done.stdout


def works(argv: Sequence[str | Path]) -> bool:
    """True if it ended with exit code 0."""
    done = subprocess.run(
        [str(part) for part in argv], capture_output=True, stdin=subprocess.DEVNULL
    )
    return done.returncode == 0
