"""A run in a process of its own, to be signalled: `python -m tests.runner.driving FOLDER KIND`."""

import sys
from pathlib import Path

from chronos_ops.model.errors import ChronosError
from chronos_ops.runner import execute
from tests.runner.probing import Cell, spec

MAKE: Cell = ("make", "step", "run.step('make', makes)")
WAIT = (
    "import subprocess, time, pathlib\n"
    "child = subprocess.Popen(['sleep', '300'])\n"
    "pathlib.Path({mark!r}).write_text(str(child.pid))\n"
    "time.sleep(300)"
)
FILL = "import os\nf = open(os.path.join(os.environ['CHRONOS_RUN_DIR'], 'logs', 'big'), 'wb')\n"


def main(folder: Path, kind: str) -> int:
    """Execute; the exit status is the verdict's."""
    wait = WAIT.replace("{mark!r}", repr(str(folder / "child")))
    cells: dict[str, list[Cell]] = {
        "waits": [MAKE, ("wait", "step", wait), ("later", "step", "run.step('later', good)")],
        "good": [("look", "step", "run.step('look', good)")],
        "fills": [
            MAKE,
            ("fill", "", FILL + "f.write(b'x' * 64_000_000)"),
            ("later", "step", "run.step('later', good)"),
        ],
        "shows": [
            ("look", "step", "run.step('look', good)"),
            ("much", "", "print('x' * 12_000_000)"),
        ],
    }
    try:
        result = execute(spec(folder, cells[kind]))
    except ChronosError as error:
        print(error.text(), file=sys.stderr)
        return error.exit_status
    return result.verdict.exit_status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
