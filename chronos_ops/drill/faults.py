"""Faults. Each refuses whatever this run did not make (guards); no approval overrides that.

Nothing is stopped in order before a fault: no shutdown, no checkpoint, no segment switch, no
wait for the archiver. That it was so is proven afterwards, from the WAL (`abruptness`).
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from chronos_ops.drill.guards import require_own_host
from chronos_ops.drill.integrity import conninfo
from chronos_ops.drill.primary import Primary
from chronos_ops.drill.sample import quoted
from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import destroy
from chronos_ops.model.errors import ChronosError, CommandFailed, TransportError
from chronos_ops.model.timing import utc_now

# The kernel resets the machine at once, without a sync. A container shares its kernel with the
# machine that it runs on, which must live: there SIGKILL goes to every process but the first one
# and this shell.
_POWER_FAILURE = "systemd-detect-virt -cq || echo b > /proc/sysrq-trigger; kill -9 -1; exit 0"


@dataclass(frozen=True)
class Struck:
    """What was done and when: the moments just before and just after, on the monotonic clock."""

    what: str
    began: float
    began_at: datetime
    ended: float


def lose_instance(context: Context, primary: Primary) -> tuple[Struck, threading.Thread]:
    """Power failure, then the instance is deleted; its disk goes with it.

    The deletion goes on in the returned thread: nobody waits for it but the teardown.
    """
    require_own_host(context, primary.provisioned)
    began, at = time.monotonic(), utc_now()
    try:
        primary.ssh.run(["sh", "-c", _POWER_FAILURE], sudo=True, timeout=5)
        raise ChronosError("the power failure did not end the connection", primary.ssh)
    except TransportError:
        ended = time.monotonic()  # the connection died with the machine
    except CommandFailed:  # killed by its own deed, or refused: then the host still answers
        ended = time.monotonic()
        _require_dead(primary)
    primary.ssh.close()

    def delete() -> None:
        destroy(context.aws, primary.provisioned.name, context.run_id)

    thread = threading.Thread(target=delete, name="delete-lost-instance", daemon=True)
    thread.start()
    return Struck("SIGKILL to every process, then the instance deleted", began, at, ended), thread


def _require_dead(primary: Primary) -> None:
    try:
        primary.ssh.run(["true"], timeout=5)
    except TransportError:
        return
    raise ChronosError("the power failure did not strike, the host still answers", primary.ssh)


@dataclass(frozen=True)
class Dropped:
    """A DROP, its transaction, and where the WAL stood just before it."""

    struck: Struck
    promised_until: float  # monotonic, before the target was named: what was acknowledged by then
    xid: str
    lsn: str
    restore_point: str
    server_at: str  # the server's clock just before, UTC


_BEFORE = """
SELECT pg_create_restore_point('{name}')::text AS lsn,
       to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now;
"""


def drop_table(context: Context, primary: Primary, database: str, table: str) -> Dropped:
    """DROP TABLE, as somebody in the wrong window would. `table` is quoted already."""
    require_own_host(context, primary.provisioned)
    return _drop(
        primary,
        database,
        f"DROP TABLE {table} CASCADE",
        "BEGIN; SELECT pg_current_xact_id(); {deed}; COMMIT;",
    )


def drop_database(context: Context, primary: Primary, database: str) -> Dropped:
    """DROP DATABASE, with whoever is connected to it."""
    require_own_host(context, primary.provisioned)
    return _drop(primary, "postgres", f"DROP DATABASE {quoted(database)} WITH (FORCE)", "{deed};")


def _drop(primary: Primary, database: str, deed: str, script: str) -> Dropped:
    name = "before_the_drop"
    ssh = primary.ssh
    promised_until = time.monotonic()
    where = ssh.sql_rows(_BEFORE.format(name=name))[0]
    began, at = time.monotonic(), utc_now()
    answer = ssh.sql(script.format(deed=deed), conninfo(database))
    ended = time.monotonic()
    xid = answer.stdout.strip()
    struck = Struck(deed, began, at, ended)
    return Dropped(struck, promised_until, xid, where["lsn"], name, where["now"])
