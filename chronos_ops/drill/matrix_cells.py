"""The cells of the PITR matrix (D7): each a target in an operator's words, and its border."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from chronos_ops.drill.matrix import LATE, Border, Cell, Ledger, at_commit, end_of
from chronos_ops.drill.moments import DATABASE_ZONE, HOST_ZONE, Point
from chronos_ops.drill.workload import Commit
from chronos_ops.model.errors import ChronosError, UsageError
from chronos_ops.model.recovery_target import parse_target

AFTER_BACKUP = timedelta(seconds=3)  # pgBackRest tells a backup's end in whole seconds


@dataclass(frozen=True)
class Moments:
    """What was made on the primary to aim at."""

    ledger: Ledger
    stamps: dict[int, datetime]  # commit times by sequence number
    point: Point
    backup: tuple[float, float]  # monotonic: the newest backup began, and had ended
    backup_timeline: int
    backup_at: datetime  # and the baseline, by the clock: had ended

    def commit(self, seq: int) -> Commit:
        """An acknowledged commit by its sequence number."""
        return next(c for c in self.ledger.acked if c.seq == seq)

    def _of(self, timeline: int) -> list[Commit]:
        mine = (c for c in self.ledger.acked if c.seq > 0 and self.ledger.timeline(c) == timeline)
        return sorted(mine, key=lambda c: c.seq)

    def middle(self) -> tuple[Commit, Commit]:
        """A commit after the baseline, before all other moments, and the one after it."""
        late = self.ledger.written(self.commit(LATE)).at
        first = int(self.commit(LATE).xid)
        fit = [
            c
            for c in self._of(1)
            if self.backup_at + AFTER_BACKUP < self.ledger.written(c).at < late
            and int(c.xid) < first
        ]
        if len(fit) < 3:
            raise ChronosError("no commit lies between the baseline and the other moments")
        return fit[-3], fit[-2]

    def given_up(self) -> list[Commit]:
        """Commits of timeline 1 after timeline 2 left it."""
        fork = self.ledger.fork
        return [] if fork is None else [c for c in self._of(1) if c.begun >= fork.ended]

    def twins(self) -> tuple[Commit, Commit]:
        """One transaction id, used on both timelines: on 1, on 2."""
        on_two = {c.xid: c for c in self._of(2)}
        both = [c for c in self.given_up() if c.xid in on_two and c.seq in self.stamps]
        if len(both) < 2:
            raise ChronosError("no transaction id was used on both timelines")
        one = both[len(both) // 2]
        return one, on_two[one.xid]

    def on_two(self) -> Commit:
        """A commit in the middle of timeline 2."""
        mine = self._of(2)
        return mine[len(mine) // 2]


_Make = Callable[[Moments], Cell]
_MAKERS: dict[str, _Make] = {}
_FORKED: set[str] = set()


def names() -> tuple[str, ...]:
    """All cells, in the order in which they are proven."""
    return tuple(_MAKERS)


def chosen(wanted: str) -> tuple[str, ...]:
    """Names of the wanted cells, in order; empty: all. Raises UsageError."""
    asked = [word for word in wanted.replace(",", " ").split() if word]
    unknown = [name for name in asked if name not in _MAKERS]
    if unknown:
        raise UsageError(
            "no such cell of the PITR matrix", ", ".join(unknown), hint=", ".join(names())
        )
    return tuple(name for name in _MAKERS if not asked or name in asked)


def needs_fork(wanted: tuple[str, ...]) -> bool:
    """Whether any of these is about a second timeline."""
    return bool(_FORKED & set(wanted))


def build(moments: Moments, wanted: tuple[str, ...]) -> list[Cell]:
    """The wanted cells. Raises ChronosError where a moment is missing."""
    return [replace(_MAKERS[name](moments), name=name) for name in wanted]


def _cell(name: str, *, forked: bool = False) -> Callable[[_Make], _Make]:
    def register(make: _Make) -> _Make:
        _MAKERS[name] = make
        if forked:
            _FORKED.add(name)
        return make

    return register


def _aim(words: str, border: Border, moments: Moments, commit: Commit | None = None) -> Cell:
    after = None if commit is None else moments.ledger.written(commit).lsn
    return Cell("", parse_target(words, datetime.now(UTC)), border, after)


def _local(moments: Moments, commit: Commit, zone: str) -> datetime:
    return moments.stamps[commit.seq].astimezone(ZoneInfo(zone))


def _time(zone: str, words: str, *, exclusive: bool) -> _Make:
    """Exactly at a commit, in one way to write a time down."""

    def make(moments: Moments) -> Cell:
        commit = moments.middle()[0]
        at = _local(moments, commit, zone)
        written = at.strftime(words)
        if words.endswith("%z"):
            written = f"{written[:-2]}:{written[-2:]}"
        border = at_commit(commit, 1, included=not exclusive)
        return _aim(f"time:{written}{' exclusive' * exclusive}", border, moments)

    return make


_STAMP = "%Y-%m-%d %H:%M:%S.%f"
_cell("time-inclusive-utc")(_time("UTC", "%Y-%m-%dT%H:%M:%S.%fZ", exclusive=False))
_cell("time-exclusive-utc")(_time("UTC", f"{_STAMP} UTC", exclusive=True))
_cell("time-inclusive-offset")(_time(HOST_ZONE, f"{_STAMP}%z", exclusive=False))
_cell("time-exclusive-zone")(_time(DATABASE_ZONE, f"{_STAMP} {DATABASE_ZONE}", exclusive=True))


@_cell("time-inclusive-microsecond-before")
def _microsecond(moments: Moments) -> Cell:
    commit = moments.middle()[0]
    at = moments.stamps[commit.seq].astimezone(UTC) - timedelta(microseconds=1)
    border = at_commit(commit, 1, included=False)
    return _aim(f"time:{at.isoformat()}", border, moments)


@_cell("lsn-inclusive")
def _lsn_inclusive(moments: Moments) -> Cell:
    commit = moments.middle()[0]
    lsn = moments.ledger.written(commit).lsn
    return _aim(f"lsn:{lsn}", at_commit(commit, 1, included=True), moments)


@_cell("lsn-exclusive")
def _lsn_exclusive(moments: Moments) -> Cell:
    commit = moments.middle()[0]
    lsn = moments.ledger.written(commit).lsn
    return _aim(f"lsn:{lsn} exclusive", at_commit(commit, 1, included=False), moments)


@_cell("lsn-exclusive-next")
def _lsn_next(moments: Moments) -> Cell:
    """The position that the writer saw just before the next commit: from outside alone."""
    commit, following = moments.middle()
    border = at_commit(commit, 1, included=True)
    return _aim(f"lsn:{following.lsn} exclusive", border, moments)


def _xid(pick: Callable[[Moments], Commit], *, exclusive: bool) -> _Make:
    def make(moments: Moments) -> Cell:
        commit = pick(moments)
        border = at_commit(commit, 1, included=not exclusive)
        return _aim(f"xid:{commit.xid}{' exclusive' * exclusive}", border, moments, commit)

    return make


def _overtaking(moments: Moments) -> Commit:
    """Committed before the late one, with a higher id."""
    late = moments.commit(LATE)
    return next(c for c in moments.ledger.acked if c.seq > 0 and int(c.xid) > int(late.xid))


_cell("xid-inclusive")(_xid(lambda m: m.middle()[0], exclusive=False))
_cell("xid-exclusive")(_xid(lambda m: m.middle()[0], exclusive=True))
_cell("xid-inclusive-overtaking")(_xid(_overtaking, exclusive=False))
_cell("xid-inclusive-late")(_xid(lambda m: m.commit(LATE), exclusive=False))
_cell("xid-exclusive-late")(_xid(lambda m: m.commit(LATE), exclusive=True))


@_cell("name")
def _name(moments: Moments) -> Cell:
    point = moments.point
    cell = _aim(f"name:{point.name}", Border(point.began, point.ended), moments)
    return replace(cell, after=point.lsn)


@_cell("immediate")
def _immediate(moments: Moments) -> Cell:
    return _aim("immediate", Border(*moments.backup, moments.backup_timeline), moments)


@_cell("time-inclusive-timeline-1", forked=True)
def _old_time(moments: Moments) -> Cell:
    commit = moments.twins()[0]
    at = moments.stamps[commit.seq].isoformat()
    return _aim(f"time:{at} timeline:1", at_commit(commit, 1, included=True), moments)


@_cell("lsn-exclusive-timeline-current", forked=True)
def _current(moments: Moments) -> Cell:
    """`current`: the timeline of the backup that is restored."""
    commit = moments.twins()[0]
    lsn = moments.ledger.written(commit).lsn
    words = f"lsn:{lsn} timeline:current exclusive"
    return _aim(words, at_commit(commit, 1, included=False), moments)


def _twin(timeline: int) -> _Make:
    """One transaction id, two transactions: the timeline decides."""

    def make(moments: Moments) -> Cell:
        commit = moments.twins()[timeline - 1]
        border = at_commit(commit, timeline, included=True)
        return _aim(f"xid:{commit.xid} timeline:{timeline}", border, moments, commit)

    return make


_cell("xid-inclusive-timeline-1", forked=True)(_twin(1))
_cell("xid-inclusive-timeline-2", forked=True)(_twin(2))


@_cell("time-exclusive-timeline-2", forked=True)
def _new_time(moments: Moments) -> Cell:
    """Without a timeline: recovery follows the latest one."""
    commit = moments.on_two()
    at = moments.stamps[commit.seq].isoformat()
    return _aim(f"time:{at} exclusive", at_commit(commit, 2, included=False), moments)


@_cell("latest-timeline-1", forked=True)
def _old_latest(moments: Moments) -> Cell:
    return _aim("latest timeline:1", end_of(1), moments)


@_cell("latest")
def _latest(moments: Moments) -> Cell:
    return _aim("latest", end_of(1 if moments.ledger.fork is None else 2), moments)
