"""A recovery target held against the repository, before anything is touched (D7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chronos_ops.facts.backups import BackupSet
from chronos_ops.facts.wal_archive import Archive
from chronos_ops.model.errors import Rule, UsageError
from chronos_ops.model.recovery_target import REACHABLE, RecoveryTarget
from chronos_ops.model.wal import Lsn, WalSegment

HAS_BACKUP = Rule(
    "drill.target.has-backup",
    "the repository holds a backup to recover from",
    "at least one",
    "D2",
)


@dataclass(frozen=True)
class Line:
    """One timeline's WAL in a repository: its newest segment, and until when it is known."""

    newest: WalSegment
    until: datetime | None = None  # last moment known to be archived; None: not known


@dataclass(frozen=True)
class Reach:
    """What a repository can restore: its backup sets, and the WAL of each timeline."""

    backups: tuple[BackupSet, ...]
    lines: Mapping[int, Line] = field(default_factory=dict)

    @property
    def timeline(self) -> int:
        """The latest one, which recovery follows unless told otherwise; 0: there is no WAL."""
        return max(self.lines, default=0)

    @property
    def newest_segment(self) -> WalSegment | None:
        """The newest segment of the latest timeline."""
        return self.lines[self.timeline].newest if self.lines else None

    def line(self, target: RecoveryTarget) -> Line | None:
        """The timeline that recovery to this target follows, or None if it is not archived."""
        if target.timeline.isdigit():
            return self.lines.get(int(target.timeline))
        if target.timeline == "current" and self.backups:
            newest = max(self.backups, key=lambda item: item.stopped)
            return self.lines.get(WalSegment.parse(newest.wal_stop).timeline)
        return self.lines.get(self.timeline)


def reach_of(
    backups: Sequence[BackupSet], archive: Archive | None, *, clock: bool = False
) -> Reach:
    """From what lies in a repository; `clock`: what was stored last ends the reach."""
    lines: dict[int, Line] = {}
    for segment in archive.segments if archive else ():
        known = lines.get(segment.timeline)
        if known is None or segment > known.newest:
            stored = archive.stored_at.get(str(segment), 0) if archive else 0
            until = datetime.fromtimestamp(stored, UTC) if clock else None
            lines[segment.timeline] = Line(segment, until)
    return Reach(tuple(backups), lines)


def choose_backup(target: RecoveryTarget, reach: Reach, *, after: Lsn | None = None) -> BackupSet:
    """The newest backup set from which `target` can be reached.

    `after`: for xid and name, a position that is known to lie before the target; without it the
    oldest set is taken, from which all that is archived can be reached. Raises UsageError for a
    target before the first backup's end or after the last archived WAL (failures 11).
    """
    sets = sorted(reach.backups, key=lambda item: item.stopped)
    if not sets:
        raise UsageError(
            "the repository holds no backup", hint="make a full backup first", breaks=HAS_BACKUP
        )
    line = reach.line(target)
    if line is None and target.timeline.isdigit():
        there = ", ".join(map(str, sorted(reach.lines))) or "none"
        raise unreachable(target, f"no WAL of that timeline is archived (there is: {there})")
    if target.kind == "latest":
        return sets[-1]
    if target.kind == "time":
        return _for_moment(target, sets, line)
    position = target.lsn if target.kind == "lsn" else after
    if position is None:
        return sets[0]
    fit = [item for item in sets if item.lsn_stop and Lsn.parse(item.lsn_stop) <= position]
    if not fit:
        raise unreachable(target, f"before the first backup ended ({sets[0].lsn_stop})")
    if target.kind == "lsn":
        _held(target, position, line)
    return fit[-1]


def _for_moment(target: RecoveryTarget, sets: Sequence[BackupSet], line: Line | None) -> BackupSet:
    """pgBackRest tells a backup's end in whole seconds: the moment must lie in a later one."""
    assert target.moment is not None
    if line is not None and line.until is not None and target.moment > line.until:
        raise unreachable(target, f"after the last archived WAL ({line.until})")
    fit = [item for item in sets if item.stopped + 1 <= target.moment.timestamp()]
    if not fit:
        first = datetime.fromtimestamp(sets[0].stopped, UTC)
        raise unreachable(target, f"before the first backup ended ({first})")
    return fit[-1]


def _held(target: RecoveryTarget, position: Lsn, line: Line | None) -> None:
    if line is None:
        raise unreachable(target, "no WAL is archived")
    newest = line.newest
    if WalSegment.containing(position, newest.timeline, newest.segment_bytes) > newest:
        raise unreachable(target, f"after the last archived WAL (segment {newest})")


def unreachable(target: RecoveryTarget, why: str) -> UsageError:
    """The refusal of a target, to be raised."""
    return UsageError(
        "this recovery target cannot be reached",
        f"{target}: {why}",
        hint="nothing was touched: name another moment, position or timeline",
        breaks=REACHABLE,
    )
