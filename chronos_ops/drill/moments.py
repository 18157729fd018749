"""What the PITR matrix aims at, made on the run's own primary: zones, commits, a second timeline.

Every commit is recorded from outside; the WAL is read afterwards, on the primary, by pg_waldump.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from chronos_ops.connectors.postgres import Postgres, connect
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.archived import switch_segment, wait_stored
from chronos_ops.drill.guards import require_own_host
from chronos_ops.drill.install import main_cluster
from chronos_ops.drill.matrix import LATE, Fork, Written, read_commits
from chronos_ops.drill.primary import Primary
from chronos_ops.drill.state import Drill
from chronos_ops.drill.workload import INSERT, Commit
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.timing import stamp, utc_now
from chronos_ops.model.wal import Lsn, WalSegment

HOST_ZONE, DATABASE_ZONE, LOG_ZONE = "America/St_Johns", "Asia/Kolkata", "Pacific/Chatham"
DRILL_HOST_ZONE = "Australia/Eucla"
FEW = 12  # commits between two moments
START_SECONDS = 120.0

_ZONE = r"""
set -eu
test -e "/usr/share/zoneinfo/$1"
ln -sfn "/usr/share/zoneinfo/$1" /etc/localtime
printf '%s\n' "$1" > /etc/timezone
"""
_SETTINGS = f"""
ALTER SYSTEM SET timezone = '{DATABASE_ZONE}';
ALTER SYSTEM SET log_timezone = '{LOG_ZONE}';
ALTER SYSTEM SET track_commit_timestamp = on;
ALTER SYSTEM SET wal_keep_size = '1GB';
"""
_STAMPS = "SELECT seq, pg_xact_commit_timestamp(xmin) AS at FROM chronos_drill.commits"
_PROMOTED = r"""
until [ "$(psql -XAtqc 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; do
    pg_ctlcluster --skip-systemctl-redirect "$1" main status >/dev/null || exit 3
    sleep 0.05
done
"""


@dataclass(frozen=True)
class Point:
    """A restore point, and the monotonic moments before and after it was made."""

    name: str
    began: float
    ended: float
    lsn: Lsn


def set_host_zone(ssh: Ssh, zone: str) -> None:
    """The host's own time zone. Raises CommandFailed where it is not known there."""
    ssh.run(["sh", "-c", _ZONE, "zone", zone], sudo=True)


def set_zones(made: Primary) -> None:
    """Host, database and log of the primary each in another zone; commits keep their time."""
    set_host_zone(made.ssh, HOST_ZONE)
    made.ssh.sql(_SETTINGS)
    _server(made, "restart")


def _server(made: Primary, action: str) -> None:
    """Through systemd: behind its back it would stop what was just started."""
    made.ssh.run(["systemctl", action, f"postgresql@{made.major}-main"], sudo=True, timeout=300)


def judge_zones(primary: Ssh, copy: Ssh) -> Finding:
    """The zones really differ, on both hosts, from UTC and from each other."""
    seen = {}
    for where, ssh in (("primary", primary), ("drill host", copy)):
        seen[where] = ssh.run(["date", "+%:z"]).stdout.strip()
    shown = "SELECT to_char(now(), 'TZH:TZM') AS zone"
    seen["database"] = str(primary.sql_rows(shown)[0]["zone"])
    return judge(
        "drill.pitr.zones",
        "primary, database and drill host are in different time zones, none in UTC",
        passed=len({*seen.values(), "+00:00"}) == len(seen) + 1,
        observed=", ".join(f"{where} {offset}" for where, offset in seen.items()),
        expected="three different offsets",
        requirement="D7",
    )


def more(context: Context, drill: Drill, commits: int, why: str) -> tuple[Commit, ...]:
    """Wait for so many more acknowledged commits; all that there are then."""
    rate = cast(Any, context.parameters).commits_per_second or 1.0  # 0: as fast as it can
    known = len(drill.writer.wait_for(1, 1).acked)
    with context.journal.interval("wait", why):
        return drill.writer.wait_for(known + commits, 90 + 3 * commits / rate).acked


def write_late(context: Context, drill: Drill) -> Commit:
    """A transaction that gets its id before some others and commits after them."""
    made = drill.primary
    with connect(made.address(), made.password(context), autocommit=False) as connection:
        row = connection.execute(INSERT, (LATE, "late", utc_now())).fetchone()
        values = cast(dict[str, str], row)
        more(context, drill, FEW, "younger transactions commit first")
        begun = time.monotonic()
        connection.commit()
        acked = time.monotonic()
    context.journal.note("late transaction", xid=values["xid"], begun=begun, acked=acked)
    return Commit(LATE, begun, acked, stamp(utc_now()), values["lsn"], values["xid"])


def restore_point(made: Primary, name: str) -> Point:
    """A named moment between two commits."""
    text = name.replace("'", "''")
    began = time.monotonic()
    row = made.ssh.sql_rows(f"SELECT pg_create_restore_point('{text}')::text AS lsn")[0]
    return Point(name, began, time.monotonic(), Lsn.parse(row["lsn"]))


def commit_times(context: Context, made: Primary) -> dict[int, datetime]:
    """Each row's commit time, asked from outside."""
    postgres = Postgres(made.address(), made.password(context), context.journal)
    try:
        return {int(row["seq"]): row["at"] for row in postgres.query(_STAMPS)}
    finally:
        postgres.close()


def read_wal(context: Context, made: Primary, timeline: int, start: str) -> dict[int, Written]:
    """Commit records on the primary from a position on, by transaction id."""
    folder = f"{main_cluster(context, made.ssh).data_directory}/pg_wal"
    program = f"/usr/lib/postgresql/{made.major}/bin/pg_waldump"
    argv = [program, f"--path={folder}", f"--timeline={timeline}", f"--start={start}"]
    answer = made.ssh.run(  # it ends with an error, where the WAL does
        ["env", "TZ=UTC", *argv, "--rmgr=Transaction"], user="postgres", accept=(0, 1)
    )
    found = read_commits(answer.stdout)
    if not found:
        raise ChronosError(f"pg_waldump shows no commit on timeline {timeline}", answer.stderr)
    return found


def fork(context: Context, drill: Drill, point: Point) -> tuple[Fork, dict[int, Written]]:
    """Recover the primary in place to a restore point: timeline 2 begins, archived like the first.

    Also gives the commit records of timeline 1, read before its files went. Only on a host that
    this run made (Refused).
    """
    made = drill.primary
    require_own_host(context, made.provisioned)
    data = main_cluster(context, made.ssh).data_directory
    _server(made, "stop")
    stopped = time.monotonic()
    acked = drill.writer.wait_for(1, 1).acked
    wal = read_wal(context, made, 1, acked[0].lsn)
    stanza = made.settings.backup.stanza
    last = WalSegment.containing(wal[int(acked[-1].xid)].lsn, 1)
    wait_stored(context, made.ssh, stanza, str(last))
    made.ssh.run(["rm", "-rf", "--", data], sudo=True)
    made.ssh.run(["install", "-d", "-o", "postgres", "-m", "0700", data], sudo=True)
    target = RecoveryTarget("name", point.name)
    argv = ["pgbackrest", f"--stanza={stanza}", *target.options(), "restore"]
    log = context.folder / "logs" / "recovery-of-the-primary.log"
    made.ssh.run(argv, user="postgres", timeout=6 * 3600, log=log)
    _server(made, "start")
    wait = ["timeout", f"{START_SECONDS:.0f}", "sh", "-c", _PROMOTED, "promoted", made.major]
    made.ssh.run(wait, user="postgres", timeout=START_SECONDS + 30)
    return Fork(point.began, point.ended, point.lsn, stopped), wal


def store_all(context: Context, made: Primary) -> str:
    """Everything written so far is in the repository; the segment's name."""
    segment = switch_segment(made.ssh)
    wait_stored(context, made.ssh, made.settings.backup.stanza, segment)
    return segment
