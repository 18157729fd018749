"""A recovery target held against the repository, before anything is touched (D7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from chronos_ops.facts.backups import BackupSet
from chronos_ops.model.errors import UsageError
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.wal import Lsn, WalSegment


@dataclass(frozen=True)
class Reach:
    """What a repository can restore: its backup sets, its newest WAL, and until when it knows."""

    backups: tuple[BackupSet, ...]
    newest_segment: WalSegment | None = None
    until: datetime | None = None  # last moment known to be archived; None: not known


def choose_backup(target: RecoveryTarget, reach: Reach, *, after: Lsn | None = None) -> BackupSet:
    """The newest backup set from which `target` can be reached.

    `after`: for xid and name, a position that is known to lie before the target. Raises UsageError
    for a target before the first backup's end or after the last archived WAL (failures 11).
    """
    sets = sorted(reach.backups, key=lambda item: item.stopped)
    if not sets:
        raise UsageError("the repository holds no backup", hint="make a full backup first")
    if target.kind == "time":
        return _for_moment(target, sets, reach)
    position = target.lsn if target.kind == "lsn" else after
    if position is None:
        return sets[-1]
    fit = [item for item in sets if item.lsn_stop and Lsn.parse(item.lsn_stop) <= position]
    if not fit:
        raise _unreachable(target, f"before the first backup ended ({sets[0].lsn_stop})")
    if target.kind == "lsn":
        _held(target, position, reach.newest_segment)
    return fit[-1]


def _for_moment(target: RecoveryTarget, sets: Sequence[BackupSet], reach: Reach) -> BackupSet:
    """pgBackRest tells a backup's end in whole seconds: the moment must lie in a later one."""
    assert target.moment is not None
    if reach.until is not None and target.moment > reach.until:
        raise _unreachable(target, f"after the last archived WAL ({reach.until})")
    fit = [item for item in sets if item.stopped + 1 <= target.moment.timestamp()]
    if not fit:
        first = datetime.fromtimestamp(sets[0].stopped, UTC)
        raise _unreachable(target, f"before the first backup ended ({first})")
    return fit[-1]


def _held(target: RecoveryTarget, position: Lsn, newest: WalSegment | None) -> None:
    if newest is None:
        raise _unreachable(target, "no WAL is archived")
    if WalSegment.containing(position, newest.timeline, newest.segment_bytes) > newest:
        raise _unreachable(target, f"after the last archived WAL (segment {newest})")


def _unreachable(target: RecoveryTarget, why: str) -> UsageError:
    return UsageError(
        "this recovery target cannot be reached", f"{target}: {why}", hint="nothing was touched"
    )
