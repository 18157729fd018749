"""The restore pre-flight on a repository of some 10,000 objects: a full backup of as many files,
each an object of its own (no bundles), on the declared host of a target that may be filled.

It makes a database and a backup set, looks at them as the backup runbook does, and removes both.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from restore import open_context

from chronos_ops.drill.backup_preflight import restore_preflight
from chronos_ops.drill.restore_preflight import look_at_repository
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups

DATABASE = "chronos_preflight_benchmark"
_TABLES = """
DO $$ BEGIN FOR n IN {first}..{last} LOOP
    EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', n);
    EXECUTE format('INSERT INTO t%s SELECT generate_series(1, 300)', n);
END LOOP; END $$
"""


def fill(context: Context, objects: int) -> str:
    """The set's label. A table is three files larger than a bundle takes: heap, its map, index."""
    context.ssh.sql(f"CREATE DATABASE {DATABASE}")
    tables = objects // 3
    for first in range(1, tables, 500):
        last = min(first + 499, tables)
        context.ssh.sql(_TABLES.format(first=first, last=last), DATABASE, timeout=600)
    stanza = context.settings.backup.stanza
    full = ["--type=full", "--repo=1", "--repo1-bundle-limit=8KiB", "backup"]  # larger: alone
    context.ssh.run(["pgbackrest", f"--stanza={stanza}", *full], user="postgres", timeout=3600)
    info = context.ask(backups.info(stanza))
    assert info is not None
    return info.of_repo(1)[-1].label


def clear(context: Context, label: str) -> None:
    """The set and the database go."""
    stanza = context.settings.backup.stanza
    context.ssh.sql(f"DROP DATABASE IF EXISTS {DATABASE}", timeout=600)
    expire = ["pgbackrest", f"--stanza={stanza}", "--repo=1", f"--set={label}", "expire"]
    deadline = time.monotonic() + 600
    while label:
        code = context.ssh.run(expire, user="postgres", accept=(0, 50), timeout=3600).exit_code
        if code == 0:
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"a scheduled backup holds the lock: expire set {label} by hand")
        time.sleep(2)


def main() -> None:
    """Print figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", required=True, help="a lab's: its declared host is filled")
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    context = open_context(given.target, Path(tempfile.mkdtemp(prefix="chronos-benchmark-")))
    label = ""
    try:
        label = fill(context, given.objects)
        info = context.ask(backups.info(context.settings.backup.stanza))
        assert info is not None
        for _ in range(given.rounds):
            found, seconds = look_at_repository(context, info, 1)
            began = time.monotonic()
            outcome = restore_preflight(context)
            whole = time.monotonic() - began
            load = os.getloadavg()[0]
            bad = [f"{f.id}: {f.observed}" for f in outcome.findings if not f.good]
            print(
                f"{len(found.objects)} objects in repo1, {len(found.sets)} sets: looked at in "
                f"{seconds:.1f} s, the whole step {whole:.1f} s (aim: under 10 s; load {load:.0f})"
                + (f"; {bad}" if bad else "")
            )
    finally:
        clear(context, label)
        context.close()


if __name__ == "__main__":
    main()
