"""The runbook's own time: wall of a headless run minus the union of its remote and wait intervals.

What is left is ours: start of the kernel, planning, judging, drawing, writing the record.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.evidence.journal import intervals, read_journal, union_seconds


def newest() -> Path:
    """The newest drill's folder."""
    found = sorted(outputs_dir().glob("*/2*-drill-*/result.json"), key=lambda p: p.parent.name)
    if not found:
        raise SystemExit("no drill has been run: ./chronos drill")
    return found[-1].parent


def main() -> None:
    """Print seconds and percent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="a run's folder")
    folder = parser.parse_args().run or newest()
    events = read_journal(folder)
    runs = intervals(events, {"run"})
    if not runs:
        raise SystemExit(f"{folder} has no whole run in its journal")
    wall = runs[-1][1] - runs[0][0]
    elsewhere = union_seconds(events, {"remote", "wait"})
    own = wall - elsewhere
    print(f"run                {folder.name}")
    print(f"wall               {wall:8.2f} s")
    print(f"remote or waiting  {elsewhere:8.2f} s")
    print(f"own                {own:8.2f} s   {100 * own / wall:.1f} %   (aim: under 15 s)")


if __name__ == "__main__":
    main()
