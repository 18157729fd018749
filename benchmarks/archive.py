"""How long an archive of many runs takes to verify: files, signatures, chain."""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chronos_ops.evidence.archive import Archive
from chronos_ops.evidence.archive_verify import verify_files
from chronos_ops.evidence.folder import read_json, write_json
from chronos_ops.evidence.manifest import MANIFEST, sha256
from chronos_ops.evidence.signing import operator_key
from chronos_ops.model.archive import Archive as Declared


def largest_run(outputs: Path) -> Path:
    """A real run whose folder is of the largest: with its notebook executed."""
    sizes = {
        path.parent: sum(f.stat().st_size for f in path.parent.rglob("*") if f.is_file())
        for path in outputs.glob("*/2*/result.json")
        if (path.parent / "executed.html").is_file()
    }
    if not sizes:
        raise SystemExit("no executed run below outputs/: ./chronos drill makes some")
    return max(sizes, key=lambda run: sizes[run])


def copy_run(pattern: Path, runs: Path, number: int) -> Path:
    """A run of its own: notebook, page and record differ from those of every other."""
    run = runs / f"20261122T{number:06d}Z-drill-{number:06x}"
    shutil.copytree(pattern, run)
    result = read_json(run / "result.json")
    write_json(run / "result.json", {**result, "run_id": run.name, "target": runs.name})
    for name in ("executed.ipynb", "executed.html"):
        with (run / name).open("a", encoding="utf-8") as file:
            file.write("\n" * (number % 97 + 1))
    manifest = read_json(run / MANIFEST)
    for entry in manifest["files"]:
        path = run / entry["path"]
        entry["bytes"], entry["sha256"] = path.stat().st_size, sha256(path)
    write_json(run / MANIFEST, {**manifest, "run_id": run.name})
    return run


def main() -> None:
    """Print figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--run", type=Path, help="the run to be copied (the largest here)")
    parser.add_argument("--folder", type=Path, help="keep what is made here")
    given = parser.parse_args()
    pattern = given.run or largest_run(ROOT / "outputs")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="chronos-benchmark-", dir="/var/tmp"))
    try:
        runs = folder / "outputs/benchmark"
        key = operator_key(folder / "state")
        archive = Archive(runs, Declared(), key)
        began = time.monotonic()
        for number in range(given.runs):
            archive.seal(copy_run(pattern, runs, number))
        made = time.monotonic() - began
        files = [path for path in runs.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files) / 2**20
        print(f"{given.runs} runs like {pattern.name}: {len(files)} files, {size:.0f} MiB")
        print(f"copied and sealed in         {made:.1f} s, {made / given.runs * 1000:.0f} ms a run")
        for _ in range(3):
            began = time.monotonic()
            looked = verify_files(runs, fingerprint=key.fingerprint)
            took = time.monotonic() - began
            bad = [f.observed for f in looked.findings if not f.good]
            if bad:
                raise SystemExit("\n".join(bad))
            print(f"verified in                  {took:.1f} s   (aim: under 10 s)")
        used = sum(
            resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        print(
            f"CPU seconds in all           {used:.1f}, load of the machine {os.getloadavg()[0]:.1f}"
        )
    finally:
        if given.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
