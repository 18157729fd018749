"""The writer's record against what came back: two counts by two ways (D6)."""

import json

from chronos_ops.connectors.postgres import Postgres
from chronos_ops.drill import sample
from chronos_ops.drill.objectives import Loss, account
from chronos_ops.drill.primary import operator_password, outside
from chronos_ops.drill.state import Drill
from chronos_ops.evidence.record import read_result
from chronos_ops.execution.context import Context
from chronos_ops.model.finding import Finding, judge

_MISSING = """
SELECT count(*) AS missing FROM json_array_elements_text('{asked}') p(seq)
WHERE NOT EXISTS (SELECT FROM chronos_drill.commits c WHERE c.seq = p.seq::bigint)
"""


def hold_against_record(context: Context, drill: Drill, until: float | None) -> Loss:
    """Fetch what came back from outside, and hold the writer's record against it."""
    if not drill.has("record"):
        drill.keep("record", drill.writer.stop())
    host = drill.host
    address = outside(host.provisioned.address, host.settings, sample.DATABASE)
    postgres = Postgres(address, operator_password(context, host.settings), context.journal)
    try:
        rows = postgres.query("SELECT seq FROM chronos_drill.commits")
    finally:
        postgres.close()
    drill.recovered = frozenset(int(row["seq"]) for row in rows)
    loss = account(drill.record, drill.recovered, until)
    drill.keep("loss", loss)
    write_lost(context, loss)
    return loss


def write_lost(context: Context, loss: Loss) -> None:
    """The list of lost commits: `logs/lost_commits.csv`."""
    lines = ["seq,xid,lsn,acknowledged_at"]
    lines += [f"{c.seq},{c.xid},{c.lsn},{c.at}" for c in loss.lost]
    path = context.logs / "lost_commits.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def independent_count(drill: Drill, loss: Loss) -> Finding:
    """The same number by another way: the record's lines, counted by psql on the host (D6)."""
    promised = [c.seq for c in drill.record.acked]
    unpromised = {c.seq for c in loss.given_up}
    counted = [seq for seq in promised if seq not in unpromised]
    asked = json.dumps(counted)
    rows = drill.host.ssh.sql_rows(_MISSING.format(asked=asked), sample.DATABASE)
    missing = int(rows[0]["missing"])
    return judge(
        "drill.loss.independent-count",
        "psql on the restored host counts as many lost commits",
        passed=missing == len(loss.lost),
        observed=f"{missing} of {len(counted)} acknowledged commits are not there",
        expected=f"{len(loss.lost)}, from the writer's record",
        requirement="D6",
    )


def earlier_points(context: Context, scenario: str) -> list[float]:
    """Recovery points of this target's earlier drills of the same scenario, oldest first, each
    pass of them."""
    found: list[float] = []
    for path in sorted(context.folder.parent.glob("*/result.json")):
        result = read_result(path.parent)
        if result is None or result.scenario != scenario or path.parent == context.folder:
            continue
        passes = result.measures.get("passes") or [result.achieved.model_dump()]
        points = [one.get("recovery_point_seconds") for one in passes]
        found += [point for point in points if point is not None]
    return found
