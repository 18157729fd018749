"""How long one waits for nothing: `chronos --help`, and `chronos run` before the kernel starts."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The command itself, in a process of its own, ended at the moment when it would start the kernel.
_UNTIL_KERNEL = """
import os, sys, time
sys.argv = ["chronos", "run", "disaster_recovery", "--target", sys.argv[1], "--plan"]
from chronos_ops import runner_engine
from jupyter_client.manager import AsyncKernelManager

async def stop(self, *args, **kwargs):
    print(f"cpu {time.process_time():.3f}", flush=True)
    os._exit(0)

AsyncKernelManager.start_kernel = stop
AsyncKernelManager._async_start_kernel = stop
from chronos_ops.cli import main
main()
"""


def seconds_of(argv: list[str], rounds: int) -> list[float]:
    """Wall seconds of each round; the first, which fills caches, is left out."""
    found = []
    for _ in range(rounds + 1):
        began = time.monotonic()
        subprocess.run(argv, cwd=ROOT, check=True, capture_output=True)
        found.append(time.monotonic() - began)
    return found[1:]


def cpu_before_kernel(target: str, rounds: int) -> list[float]:
    """CPU seconds (user and system) of `chronos run` up to the kernel's start."""
    found = []
    kept = set((ROOT / "outputs" / target).glob("2*"))
    for _ in range(rounds + 1):
        done = subprocess.run(
            [sys.executable, "-c", _UNTIL_KERNEL, target],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("cpu ")]
        if not lines:
            raise SystemExit(f"the run did not get as far as a kernel:\n{done.stderr[-800:]}")
        found.append(float(lines[0].split()[1]))
        for folder in set((ROOT / "outputs" / target).glob("2*")) - kept:
            shutil.rmtree(folder)
    return found[1:]


def main() -> None:
    """Print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="lab")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    launched = seconds_of([str(ROOT / "chronos"), "--help"], given.rounds)
    print(f"./chronos --help             {statistics.median(launched):.2f} s   (aim: under 0.5 s)")
    cpu = cpu_before_kernel(given.target, given.rounds)
    print(f"chronos run, CPU to kernel   {statistics.median(cpu):.2f} s   (aim: under 1.5 s)")


if __name__ == "__main__":
    main()
