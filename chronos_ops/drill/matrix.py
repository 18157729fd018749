"""PITR from both sides (D7): which acknowledged commits a recovery target must bring back.

Three ways lead to the answer, and all must agree: the outside writer's record (by time alone), the
rows that came back, and the commit records of the WAL up to where redo ended. Pure.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from chronos_ops.drill.objectives import ranges
from chronos_ops.drill.workload import Commit
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.wal import Lsn

LATE = -1  # the sequence number of the transaction that commits after younger ones
_COMMIT = re.compile(
    r"^rmgr: Transaction .*\btx: +(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), .*?"
    r"\bdesc: COMMIT (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}) UTC\b",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Written:
    """A commit record as it lies in the WAL."""

    lsn: Lsn
    at: datetime  # UTC


def read_commits(text: str) -> dict[int, Written]:
    """Commit records by transaction id, from pg_waldump's lines (with TZ=UTC)."""
    return {
        int(xid): Written(Lsn.parse(lsn), datetime.fromisoformat(f"{at}+00:00"))
        for xid, lsn, at in _COMMIT.findall(text)
    }


@dataclass(frozen=True)
class Fork:
    """An earlier recovery on the primary: timeline 2 leaves timeline 1 at a restore point."""

    began: float  # monotonic: the restore point was asked for
    ended: float  # and was there
    lsn: Lsn
    stopped: float  # the server of timeline 1 had stopped


@dataclass(frozen=True)
class Ledger:
    """What was promised, from outside, and what the WAL of each timeline holds of it."""

    acked: tuple[Commit, ...]
    wal: Mapping[int, Mapping[int, Written]]  # by timeline, by transaction id
    fork: Fork | None = None
    in_doubt: frozenset[int] = frozenset()  # sent, and the answer never came

    def timeline(self, commit: Commit) -> int:
        """Nothing is begun between the stop of timeline 1 and the promotion, and acknowledged."""
        return 2 if self.fork is not None and commit.begun >= self.fork.stopped else 1

    def written(self, commit: Commit) -> Written:
        """Its commit record. KeyError: the WAL that was read lacks it."""
        return self.wal[self.timeline(commit)][int(commit.xid)]


@dataclass(frozen=True)
class Border:
    """Where recovery stops, seen from outside: between two monotonic moments on a timeline."""

    began: float
    ended: float
    timeline: int = 1
    commit: int | None = None  # exactly at this one's commit record
    included: bool = True


def at_commit(commit: Commit, timeline: int, *, included: bool) -> Border:
    """Just after a commit, or just before it."""
    return Border(commit.begun, commit.acked, timeline, commit.seq, included)


def end_of(timeline: int) -> Border:
    """All that a timeline holds."""
    return Border(inf, inf, timeline)


@dataclass(frozen=True)
class Cell:
    """One restore of the matrix. `after`: a position for `choose_backup`."""

    name: str  # kind-inclusive|exclusive-what
    target: RecoveryTarget
    border: Border
    after: Lsn | None = None


@dataclass(frozen=True)
class Expected:
    """Sequence numbers that must be back, and those that must not; others were on their way."""

    there: frozenset[int]
    absent: frozenset[int]


def expect(ledger: Ledger, border: Border) -> Expected:
    """From the record alone: order is when a commit was begun and acknowledged."""
    there: set[int] = set()
    absent: set[int] = set()
    for commit in ledger.acked:
        side = _side(ledger, border, commit)
        if side is not None:
            (there if side else absent).add(commit.seq)
    return Expected(frozenset(there), frozenset(absent))


def _side(ledger: Ledger, border: Border, commit: Commit) -> bool | None:
    if commit.seq == border.commit:
        return border.included
    began, ended = border.began, border.ended
    mine = ledger.timeline(commit)
    if mine > border.timeline:
        return False
    if mine < border.timeline:
        assert ledger.fork is not None
        began, ended = ledger.fork.began, ledger.fork.ended
    if commit.acked <= began:
        return True
    return False if commit.begun >= ended else None


def by_wal(ledger: Ledger, border: Border, redo_end: Lsn, said: str) -> frozenset[int]:
    """The same from the WAL: commits whose record was replayed. KeyError: one is not in it.

    `redo_end` is the last record that was read; recovery that stopped *before* it left it out.
    """
    found = set()
    for commit in ledger.acked:
        mine = ledger.timeline(commit)
        if mine > border.timeline:
            continue
        end = redo_end
        if mine < border.timeline and ledger.fork is not None:
            end = min(redo_end, ledger.fork.lsn)
        lsn = ledger.written(commit).lsn
        if lsn < end or (lsn == end and "stopping before" not in said):
            found.add(commit.seq)
    return frozenset(found)


@dataclass(frozen=True)
class Seen:
    """What a restored copy shows."""

    there: frozenset[int]  # sequence numbers, fetched from outside
    counted: int  # rows, counted by psql on the host
    redo_end: str  # LSN, by the server's log; "": there was nothing to replay
    said: str  # the server's words about where it stopped
    objections: tuple[str, ...] = ()  # what else was wrong: not promoted, target not reached


def judge_cell(cell: Cell, ledger: Ledger, seen: Seen) -> Finding:
    """Both sides of the target, and the three ways against each other."""
    wanted = expect(ledger, cell.border)
    acked = frozenset(c.seq for c in ledger.acked)
    missing, extra = wanted.there - seen.there, wanted.absent & seen.there
    wrong = [f"missing: {ranges(missing)}"] if missing else []
    wrong += [f"there, but after the target: {ranges(extra)}"] if extra else []
    strangers = seen.there - acked - ledger.in_doubt
    wrong += [f"there, but never acknowledged: {ranges(strangers)}"] if strangers else []
    if seen.counted != len(seen.there):
        wrong.append(f"psql counts {seen.counted} rows, from outside there are {len(seen.there)}")
    proof: bool | None = None
    if seen.redo_end:
        try:
            replayed = by_wal(ledger, cell.border, Lsn.parse(seen.redo_end), seen.said)
        except KeyError as error:
            wrong.append(f"the WAL that was read holds no commit of transaction {error}")
        else:
            proof = replayed == seen.there & acked
            if not proof:
                odd = replayed ^ (seen.there & acked)
                wrong.append(f"the WAL up to {seen.redo_end} says otherwise of {ranges(odd)}")
    wrong += seen.objections
    both = wanted.there and (wanted.absent or cell.target.kind == "latest")
    if not both:
        wrong.append("one side of the target has no commit: nothing is proven")
    return judge(
        f"drill.pitr.{cell.name}",
        f"{cell.target}: all commits before it are there, none after it",
        passed=False if wrong else proof,
        observed="; ".join([*wrong, f"there: {ranges(seen.there & acked)}", seen.said]),
        expected=f"there: {ranges(wanted.there)}; not there: {ranges(wanted.absent)}",
        hint="the server stopped elsewhere: logs/pitr/ has its words; look at the target's time "
        "zone, its timeline, and the backup set that was taken",
        requirement="D7",
    )


def beside(ledger: Ledger, cell: Cell, seen: Seen, most: int = 5) -> dict[str, list[bool]]:
    """The nearest commits on either side of the target: were they there? Nearest to it last."""
    wanted = expect(ledger, cell.border)
    known = {c.seq: c for c in ledger.acked}

    def nearest(seqs: Iterable[int], *, after: bool) -> list[bool]:
        mine = [known[seq] for seq in seqs]
        mine = [c for c in mine if not after or c.begun >= cell.border.began]
        mine.sort(key=lambda c: -c.begun if after else c.begun)
        return [c.seq in seen.there for c in mine[-most:]]

    return {
        "before": nearest(wanted.there, after=False),
        "after": nearest(wanted.absent, after=True),
    }


def judge_times(ledger: Ledger, stamps: Mapping[int, datetime]) -> Finding:
    """Commit times by the server (SQL, from outside) and in the WAL are the same instants."""
    compared = [c for c in ledger.acked if c.seq in stamps]
    differ = [c.seq for c in compared if ledger.written(c).at != stamps[c.seq].astimezone(UTC)]
    return judge(
        "drill.pitr.commit-times",
        "server and WAL agree on every commit's time, whatever their zones",
        passed=None if not compared else not differ,
        observed=f"{len(compared) - len(differ)} of {len(compared)} agree"
        + (f", not: {ranges(differ)}" if differ else ""),
        expected="all",
        hint="no time target can be trusted before it is known why",
        requirement="D7",
    )
