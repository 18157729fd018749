"""Proof that a fault was abrupt (D6): the WAL that came back holds no shutdown checkpoint."""

import re

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.model.finding import Finding, judge

_RECORD = re.compile(r"^rmgr: (\S+) .*?lsn: ([0-9A-F]+/[0-9A-F]+).*? desc: (\S+)")


def check_abrupt(ssh: Ssh, bin_dir: str, data_directory: str, start: str, end: str) -> Finding:
    """Look at the recovered WAL from `start` (end of the backup) to `end` (end of redo)."""
    argv = [f"{bin_dir}/pg_waldump", f"--path={data_directory}/pg_wal", "--timeline=1"]
    answer = ssh.run(
        [*argv, f"--start={start}", f"--end={end}"], user="postgres", accept=(0, 1), timeout=1800
    )
    return judge_abrupt(answer.stdout, answer.stderr)


def judge_abrupt(records: str, errors: str) -> Finding:
    """From pg_waldump's lines. WAL in which there is nothing proves nothing."""
    found = [m for m in map(_RECORD.match, records.splitlines()) if m is not None]
    shutdowns = [m[2] for m in found if m[3] == "CHECKPOINT_SHUTDOWN"]
    if shutdowns:
        observed = f"shutdown checkpoint at {', '.join(shutdowns)}"
    elif found:
        observed = f"{len(found)} records up to {found[-1][2]}, no shutdown checkpoint"
    else:
        observed = f"no WAL record was read: {errors.strip()[-200:]}"
    return judge(
        "drill.fault.abrupt",
        "the fault was abrupt: no clean shutdown is in the recovered WAL",
        passed=not shutdowns if found else None,
        observed=observed,
        expected="WAL records, none of them a shutdown checkpoint",
        hint="what was measured is not a power failure's loss",
        requirement="D6",
    )
