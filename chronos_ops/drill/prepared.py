"""Transactions that were prepared (two-phase commit) and not ended: they outlive a recovery."""

from collections.abc import Sequence
from typing import Any

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.model.finding import Finding, judge

_PREPARED = """
SELECT gid, database, owner, to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"') AS at
FROM pg_prepared_xacts ORDER BY prepared
"""


def check_prepared(ssh: Ssh) -> Finding:
    """None waits for its second phase: its rows are neither there nor gone, its locks hold."""
    return judge_prepared(ssh.sql_rows(_PREPARED))


def judge_prepared(rows: Sequence[dict[str, Any]]) -> Finding:
    """From pg_prepared_xacts: `gid`, `database`, `owner`, `at` (UTC)."""
    shown = [f"{row['gid']!r} of {row['owner']} in {row['database']}, {row['at']}" for row in rows]
    return judge(
        "drill.integrity.prepared-transactions",
        "no prepared transaction was recovered that waits for its second phase",
        passed=not rows,
        observed="; ".join(shown) or "none",
        expected="none",
        hint="its transaction manager knows the outcome: COMMIT PREPARED or ROLLBACK PREPARED; "
        "until then it keeps its locks, on the source too",
        requirement="D5",
    )
