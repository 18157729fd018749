"""Proof that a fault was abrupt (D6), from both ends: no client was told goodbye, and the WAL that
came back holds no shutdown checkpoint.

The WAL alone could not tell: a clean shutdown writes its checkpoint into a segment that it does not
archive any more. But it ends every session with SQLSTATE 57P01, and the outside writer hears that.
"""

import re
from collections.abc import Sequence

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.model.finding import Finding, judge

_RECORD = re.compile(r"^rmgr: (\S+) .*?lsn: ([0-9A-F]+/[0-9A-F]+).*? desc: (\S+)")


_GOODBYE = re.compile(
    r"terminating connection due to administrator command|database system is shutting down",
    re.IGNORECASE,
)


def check_abrupt(
    ssh: Ssh,
    bin_dir: str,
    data_directory: str,
    start: str,
    end: str,
    writer_errors: Sequence[str],
) -> Finding:
    """Look at the recovered WAL from `start` (end of the backup) to `end` (end of redo)."""
    argv = [f"{bin_dir}/pg_waldump", f"--path={data_directory}/pg_wal", "--timeline=1"]
    answer = ssh.run(
        [*argv, f"--start={start}", f"--end={end}"], user="postgres", accept=(0, 1), timeout=1800
    )
    whole = answer.exit_code == 0
    return judge_abrupt(answer.stdout, answer.stderr, writer_errors, whole=whole)


def judge_abrupt(
    records: str, errors: str, writer_errors: Sequence[str] = (), *, whole: bool = True
) -> Finding:
    """From the writer's errors and pg_waldump's lines. WAL that was not read whole proves nothing.

    The writer was connected when the fault struck, so a goodbye would have reached it.
    """
    goodbyes = [text for text in writer_errors if _GOODBYE.search(text)]
    found = [m for m in map(_RECORD.match, records.splitlines()) if m is not None]
    shutdowns = [m[2] for m in found if m[3] == "CHECKPOINT_SHUTDOWN"]
    if goodbyes:
        observed = f"the writer was told: {goodbyes[0][:120]}"
    elif shutdowns:
        observed = f"shutdown checkpoint at {', '.join(shutdowns)}"
    elif found and whole:
        observed = f"no goodbye; {len(found)} records up to {found[-1][2]}, no shutdown checkpoint"
    else:
        observed = f"the WAL was not read whole ({len(found)} records): {errors.strip()[-200:]}"
    return judge(
        "drill.fault.abrupt",
        "the fault was abrupt: no clean shutdown, seen by the writer and in the recovered WAL",
        passed=False if goodbyes or shutdowns else True if found and whole else None,
        observed=observed,
        expected="no goodbye to the writer; WAL records, none of them a shutdown checkpoint",
        hint="what was measured is not a power failure's loss",
        requirement="D6",
    )
