"""Where a recovery target lies: a transaction's end or a restore point, sought in the archived WAL.

pgBackRest knows neither. Segments are fetched some at a time onto the host that is asked, read by
pg_waldump and removed; newest first, and no more than `MOST` of them: then it is said that the
rest was not read.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.target import unreachable
from chronos_ops.execution.context import Context
from chronos_ops.facts.postgres import CLUSTERS
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.wal import Lsn, WalSegment
from chronos_ops.plans.cluster import declared_cluster

MOST = 1024  # 0.05 s each in the lab
_AT_ONCE = 8
_SCRIPT = r"""
set -eu
stanza=$1; bin=$2; rmgr=$3; pattern=$4; shift 4
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
first=$1
for s; do
    pgbackrest --stanza="$stanza" --no-archive-async --log-level-console=warn \
        archive-get "$s" "$d/$s" >&2
    last=$s
done
"$bin/pg_waldump" --path="$d" --rmgr="$rmgr" "$first" "$last" > "$d/out" 2> "$d/said" || :
if grep -v 'could not find file\|invalid record length' "$d/said" >&2; then exit 1; fi
grep -E -e "$pattern" "$d/out" || :
"""
_LSN = re.compile(r"\blsn: ([0-9A-F]+/[0-9A-F]+),")
_NEXT = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next"
_RUNNING = (
    "SELECT EXISTS (SELECT FROM pg_snapshot_xip(pg_current_snapshot()) x"
    " WHERE x::text::numeric = {xid}) AS running"
)


@dataclass(frozen=True)
class Sought:
    """Where the target was found (None: not), and whether all that is archived was read."""

    lsn: Lsn | None
    segments: int
    whole: bool


def refuse_future(ssh: Ssh, target: RecoveryTarget) -> None:
    """What the living server knows of a transaction. Raises UsageError: it has not ended yet."""
    xid = int(target.value)
    following = int(str(ssh.sql_rows(_NEXT)[0]["next"]))
    if xid >= following:
        raise unreachable(target, f"no transaction has that id yet, the next one is {following}")
    if ssh.sql_rows(_RUNNING.format(xid=xid))[0]["running"]:
        raise unreachable(target, "that transaction has not ended")


def seek(
    context: Context, ssh: Ssh, target: RecoveryTarget, segments: Sequence[WalSegment]
) -> Sought:
    """Look for an xid's or a name's record on the host behind `ssh`, which can read repo1."""
    clusters = context.ask(CLUSTERS, ssh)
    cluster = declared_cluster(context.settings, clusters)
    if cluster is None:
        raise UnreadableAnswer("no cluster to read WAL with", ssh.address.host)
    bin_dir = f"/usr/lib/postgresql/{cluster.version}/bin"
    rmgr = "XLOG" if target.kind == "name" else "Transaction"
    begin = [context.settings.backup.stanza, bin_dir, rmgr, pattern(target)]
    taken = sorted(segments, key=lambda s: (s.timeline, s.number))[-MOST:]
    for run in chunks(taken):
        context.say(f"looking for {target} in the archived WAL: {run[0]}")
        argv = ["sh", "-c", _SCRIPT, "seek", *begin, *map(str, run)]
        answer = ssh.run(argv, user="postgres", timeout=600)
        if found := matches(answer.stdout, target):
            return Sought(found[-1], len(taken), len(taken) == len(segments))
    return Sought(None, len(taken), len(taken) == len(segments))


def pattern(target: RecoveryTarget) -> str:
    """What grep looks for in pg_waldump's lines; `matches` looks closer."""
    if target.kind == "name":
        return "desc: RESTORE_POINT "
    low = int(target.value) & 0xFFFFFFFF
    end = "(COMMIT|ABORT)"
    return f"tx: +{low},.* desc: {end}|desc: {end}_PREPARED {low}:"


def matches(text: str, target: RecoveryTarget) -> list[Lsn]:
    """Positions of the target's records."""
    lines = text.splitlines()
    if target.kind == "name":
        lines = [line for line in lines if line.endswith(f"desc: RESTORE_POINT {target.value}")]
    return [Lsn.parse(found[1]) for line in lines if (found := _LSN.search(line))]


def chunks(segments: Sequence[WalSegment]) -> Iterator[list[WalSegment]]:
    """Newest first, consecutive ones together; each shares a segment with the one before it.

    A record may begin in one segment and end in the next.
    """
    run: list[WalSegment] = []
    for segment in reversed(segments):
        follows = run and run[0].timeline == segment.timeline and run[0] - segment == 1
        if run and (not follows or len(run) > _AT_ONCE):
            yield run
            run = [run[0]] if follows else []
        run.insert(0, segment)
    if run:
        yield run
