"""A recovery target held against the repository, before anything is touched (D7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chronos_ops.facts.backups import BackupSet
from chronos_ops.facts.wal_archive import Archive, History
from chronos_ops.model.errors import Rule, UsageError
from chronos_ops.model.recovery_target import REACHABLE, WHOLE, RecoveryTarget
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
    histories: Mapping[int, History] = field(default_factory=dict)  # with WAL or without

    @property
    def timeline(self) -> int:
        """The latest one, which recovery follows unless told otherwise; 0: there is no WAL."""
        return max((*self.lines, *self.histories), default=0)

    @property
    def newest_segment(self) -> WalSegment | None:
        """The newest segment of the latest timeline that has any."""
        return self.lines[max(self.lines)].newest if self.lines else None

    def wanted(self, target: RecoveryTarget) -> int | None:
        """The timeline that recovery follows; None: that of the backup which is restored."""
        if target.timeline == "current":
            return None
        return int(target.timeline) if target.timeline.isdigit() else self.timeline or None

    def leads(self, backup: BackupSet, timeline: int | None) -> bool:
        """Whether recovery from a backup can follow a timeline: it was taken on it, or on an
        ancestor before the timeline left that one."""
        own = timeline_of(backup)
        if timeline is None or own in (0, timeline):
            return True
        if timeline not in self.histories:
            return own < timeline
        left = dict(self.histories[timeline]).get(own)
        return left is not None and Lsn.parse(backup.lsn_stop) <= left


def timeline_of(backup: BackupSet) -> int:
    """On which a backup ended; 0: it does not say."""
    return WalSegment.parse(backup.wal_stop).timeline if backup.wal_stop else 0


def reach_of(
    backups: Sequence[BackupSet],
    archive: Archive | None,
    histories: Mapping[int, History] | None = None,
    *,
    clock: bool = False,
) -> Reach:
    """From what lies in a repository; `clock`: what was stored last ends the reach."""
    lines: dict[int, Line] = {}
    for segment in archive.segments if archive else ():
        known = lines.get(segment.timeline)
        if known is None or segment > known.newest:
            stored = archive.stored_at.get(str(segment), 0) if archive else 0
            until = datetime.fromtimestamp(stored, UTC) if clock else None
            lines[segment.timeline] = Line(segment, until)
    return Reach(tuple(backups), lines, histories or {})


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
    timeline = reach.wanted(target)
    if target.timeline.isdigit() and timeline not in reach.lines:
        there = ", ".join(map(str, sorted(reach.lines))) or "none"
        raise unreachable(target, f"no WAL of that timeline is archived (there is: {there})")
    sets = [item for item in sets if reach.leads(item, timeline)]
    if not sets:
        raise unreachable(target, f"no backup was taken before timeline {timeline} began, or on it")
    if target.kind in WHOLE:
        return sets[-1]
    position = target.lsn if target.kind == "lsn" else after
    if target.kind == "time":
        fit = _before_moment(target, sets)
    elif position is None:
        return sets[0]
    else:
        fit = [item for item in sets if item.lsn_stop and Lsn.parse(item.lsn_stop) <= position]
    if not fit:
        first = f"{datetime.fromtimestamp(sets[0].stopped, UTC)}, {sets[0].lsn_stop or 'no LSN'}"
        raise unreachable(target, f"before the first backup ended ({first})")
    followed = timeline_of(fit[-1]) if timeline is None else timeline
    line = reach.lines.get(followed, reach.lines.get(max(reach.lines, default=0)))
    _held(target, position if target.kind == "lsn" else None, line)
    return fit[-1]


def _before_moment(target: RecoveryTarget, sets: Sequence[BackupSet]) -> list[BackupSet]:
    """pgBackRest tells a backup's end in whole seconds: the moment must lie in a later one."""
    assert target.moment is not None
    return [item for item in sets if item.stopped + 1 <= target.moment.timestamp()]


def _held(target: RecoveryTarget, position: Lsn | None, line: Line | None) -> None:
    """The archived WAL goes as far as a moment or a position."""
    until = None if line is None else line.until
    if target.moment is not None and until is not None and target.moment > until:
        raise unreachable(target, f"after the last archived WAL ({until})")
    if position is None:
        return
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
