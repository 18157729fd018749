"""How long the page of an archive of many runs takes to build."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.archive import copy_run, largest_run
from chronos_ops.evidence.archive import Archive
from chronos_ops.evidence.signing import operator_key
from chronos_ops.model.archive import Archive as Declared
from chronos_ops.model.timing import utc_now
from chronos_ops.site.build import build
from chronos_ops.site.collect import VERIFIED, collect


def main() -> None:
    """Print figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--run", type=Path, help="the run to be copied (the largest here)")
    parser.add_argument("--out", type=Path, help="keep the site here")
    given = parser.parse_args()
    pattern = given.run or largest_run(ROOT / "outputs")
    folder = Path(tempfile.mkdtemp(prefix="chronos-benchmark-", dir="/var/tmp"))
    try:
        outputs = folder / "outputs"
        key = operator_key(folder / "state")
        archive = Archive(outputs / "benchmark", Declared(), key)
        for number in range(given.runs):
            archive.seal(copy_run(pattern, outputs / "benchmark", number))
        for _ in range(3):
            began = time.monotonic()
            targets = collect(outputs, lambda _: key.fingerprint, lambda _: (), utc_now())
            read = time.monotonic() - began
            build(targets, given.out or folder / "site", utc_now())
            took = time.monotonic() - began
            if {row.seal for row in targets[0].rows} != {VERIFIED}:
                raise SystemExit(str(targets[0].archive))
            print(f"{given.runs} runs: read in {read:.1f} s, built in {took:.1f} s (aim: 30 s)")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
