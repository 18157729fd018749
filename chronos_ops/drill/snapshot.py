"""A snapshot as the source of drill hosts: judged before anything is touched, and looked into.

It shall hold packages and no database. A copy of a database host would boot its PostgreSQL, archive
into the live repository, and run its backup timers (failures 12).
"""

import difflib

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.facts import lightsail
from chronos_ops.facts.lightsail import Snapshot
from chronos_ops.model.errors import Refused, UsageError
from chronos_ops.model.settings import Settings

# Power failure for what must not run here: an orderly shutdown would archive its last segment.
_LOOK = r"""
pkill -KILL -x postgres && echo 'a PostgreSQL server ran'
pkill -KILL -x pgbackrest && echo 'pgBackRest ran'
systemctl stop 'chronos-backup-*.timer' 2>/dev/null
find /var/lib/postgresql /etc/postgresql -maxdepth 3 \
    \( -name PG_VERSION -o -name postgresql.conf \) -printf '%h holds a cluster\n' 2>/dev/null
find /etc/systemd/system -maxdepth 1 -name 'chronos-backup-*.timer' -printf '%f is there\n'
exit 0
"""


def check_snapshot(context: Context) -> str:
    """What drill hosts are made of, for people; "" for a bare image.

    Raises UsageError for a snapshot that cannot be used. Nothing was touched then.
    """
    name = context.settings.drill.from_snapshot
    if not name:
        return ""
    found = context.ask(lightsail.snapshots())
    chosen = choose(context.settings, name, found, context.ask(lightsail.bundle_disks()))
    return f"snapshot `{name}` of {chosen.created_at:%Y-%m-%d %H:%M} UTC"


def choose(
    settings: Settings, name: str, found: list[Snapshot], bundle_disks: dict[str, int]
) -> Snapshot:
    """The snapshot, if hosts can be made from it. Raises UsageError."""
    known = {snapshot.name: snapshot for snapshot in found}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        there = ", ".join(sorted(known)) or "none"
        hint = f"did you mean {near[0]!r}?" if near else f"there is: {there}"
        raise UsageError("drill.from_snapshot: no such instance snapshot", repr(name), hint=hint)
    chosen = known[name]
    if chosen.state != "available":
        raise UsageError(
            f"drill.from_snapshot: {name} is not available",
            f"{chosen.state} {chosen.progress}".strip(),
            hint="wait until it is" if chosen.state == "pending" else "take another one",
        )
    if chosen.from_instance == settings.host.instance:
        raise UsageError(
            f"drill.from_snapshot: {name} is a copy of the declared host",
            chosen.from_instance,
            hint="its PostgreSQL would start and archive into the live repository: take the "
            "snapshot of a host that has packages alone",
        )
    bundle = settings.drill.bundle_id
    if bundle in bundle_disks and bundle_disks[bundle] < chosen.size_gb:
        raise UsageError(
            f"drill.bundle_id: the disk of {bundle} is smaller than that of {name}",
            f"{bundle_disks[bundle]} GB, {chosen.size_gb} GB",
            hint="name a larger bundle",
        )
    return chosen


def require_no_database(ssh: Ssh, source: str) -> None:
    """Nothing of a database came with the snapshot; what runs is killed at once. Raises Refused."""
    seen = ssh.run(["sh", "-c", _LOOK], sudo=True).stdout.split("\n")
    if any(seen):
        raise Refused(
            f"{source} is no host with packages alone",
            "; ".join(line for line in seen if line),
            hint="a restore never goes over a cluster: take the snapshot before one is made",
        )
