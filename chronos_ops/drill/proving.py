"""One cell of the PITR matrix after the other, on one drill host: restore, recover, look."""

import time
from typing import Any

from chronos_ops.connectors.postgres import Postgres
from chronos_ops.drill import sample
from chronos_ops.drill.guards import require_own_host
from chronos_ops.drill.matrix import Cell, Ledger, Seen, beside, judge_cell
from chronos_ops.drill.primary import operator_password, outside
from chronos_ops.drill.recovering import harmless, judge_promoted, judge_reached
from chronos_ops.drill.restore import DrillHost, Recovery, recover, restore
from chronos_ops.execution.context import Context
from chronos_ops.facts.postgres import IDENTITY
from chronos_ops.model.errors import ChronosError, Refused
from chronos_ops.model.finding import Finding, not_known
from chronos_ops.model.wal import WalSegment

_CLEAR = r"""
set -eu
major=$1; data=$2; bin=$3; wanted=$4; log=$5
[ -e "$data/PG_VERSION" ] || exit 0
id=$("$bin/pg_controldata" -D "$data" | sed -n 's/^Database system identifier: *//p')
[ "$id" = "$wanted" ] || { echo "it holds $id"; exit 3; }
if [ -e "$data/postmaster.pid" ]; then
    pg_ctlcluster --skip-systemctl-redirect -m immediate "$major" main stop
fi
rm -rf -- "$data" "$log"
"""
_COUNT = "SELECT count(*) AS rows FROM chronos_drill.commits"
_WRITING = "SELECT pg_walfile_name(pg_current_wal_insert_lsn()) AS segment"


def prove(
    context: Context, host: DrillHost, cell: Cell, ledger: Ledger
) -> tuple[Finding, dict[str, Any]]:
    """Restore to the cell's target and judge both sides; the finding, and the table's row."""
    began = time.monotonic()
    row: dict[str, Any] = {"cell": cell.name, "target": str(cell.target), "backup": "none"}
    try:
        clear(context, host)
        row["backup"] = restore(context, host, cell.target, after=cell.after).label
        seen = _look(context, host, cell, recover(context, host, cell.target))
        finding = judge_cell(cell, ledger, seen)
        row |= {**beside(ledger, cell, seen), "redo_end": seen.redo_end}
    except ChronosError as error:
        title = f"{cell.target}: all commits before it are there, none after it"
        finding = not_known(f"drill.pitr.{cell.name}", title, error, "D7")
    row |= {"status": finding.status.value, "seconds": round(time.monotonic() - began, 2)}
    return finding, row


def clear(context: Context, host: DrillHost) -> None:
    """Remove what a former cell restored here. Only that: else Refused."""
    require_own_host(context, host.provisioned)
    given = [host.major, host.data_directory, host.bin_dir, host.repository_system_id]
    argv = ["sh", "-c", _CLEAR, "clear", *given, host.server_log]
    answer = host.ssh.run(argv, sudo=True, accept=(0, 3))
    if answer.exit_code:
        raise Refused("the drill host holds another cluster", answer.stdout.strip())


def _look(context: Context, host: DrillHost, cell: Cell, recovery: Recovery) -> Seen:
    folder = context.folder / "logs" / "pitr"
    folder.mkdir(exist_ok=True)
    (folder / f"{cell.name}.log").write_text(recovery.log, encoding="utf-8")
    address = outside(host.provisioned.address, host.settings, sample.DATABASE)
    postgres = Postgres(address, operator_password(context, host.settings), context.journal)
    try:
        rows = postgres.query("SELECT seq FROM chronos_drill.commits")
    finally:
        postgres.close()
    writing = WalSegment.parse(str(host.ssh.sql_rows(_WRITING)[0]["segment"])).timeline
    others = [
        judge_promoted(context.ask(IDENTITY, host.ssh), writing, host),
        reached := judge_reached(cell.target, recovery.log),
        *harmless(host.ssh),
    ]
    return Seen(
        frozenset(int(row["seq"]) for row in rows),
        int(host.ssh.sql_rows(_COUNT, sample.DATABASE)[0]["rows"]),
        recovery.redo_end,
        reached.observed,
        tuple(f"{f.title}: {f.observed}" for f in others if not f.good),
    )
