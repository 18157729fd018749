"""The PITR matrix's arithmetic: which commits belong before a target, and that it can fail."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chronos_ops.drill.matrix import (
    LATE,
    Border,
    Cell,
    Fork,
    Ledger,
    Seen,
    Written,
    at_commit,
    beside,
    end_of,
    expect,
    judge_cell,
    judge_times,
    read_commits,
)
from chronos_ops.drill.matrix_cells import Moments, build, chosen, names, needs_fork
from chronos_ops.drill.moments import Point
from chronos_ops.drill.workload import Commit
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Status
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.wal import Lsn

START = datetime(2026, 11, 22, 21, tzinfo=UTC)
# As pg_waldump 17 wrote it (TZ=UTC).
WAL = """\
rmgr: Transaction len (rec/tot):     46/    46, tx:       1073, lsn: 0/060467F8, prev 0/060467B0, \
desc: COMMIT 2026-11-23 09:04:04.785033 UTC
rmgr: Transaction len (rec/tot):    437/   437, tx:       1074, lsn: 0/06046980, prev 0/06046828, \
desc: COMMIT 2026-11-23 09:04:04.835074 UTC; inval msgs: catcache 7 relcache 1249
rmgr: Transaction len (rec/tot):     34/    34, tx:       1075, lsn: 0/06046B40, prev 0/06046980, \
desc: ABORT 2026-11-23 09:04:04.900000 UTC
"""


def commit(seq: int, begun: float, xid: int, *, acked: float = 0.0) -> Commit:
    return Commit(seq, begun, acked or begun + 0.01, "", str(Lsn(xid * 100 - 40)), str(xid))


def ledger() -> Ledger:
    """Timeline 1: commits 1-20 (xid 101-120) and the late one (xid 105, between 12 and 13).

    It is left after 15; the server of timeline 1 stops at 21.0; timeline 2 has 21-30, and uses
    transaction ids from 117 on once more.
    """
    one = [commit(n, float(n), 100 + n + (n >= 5)) for n in range(1, 21)]
    late = commit(LATE, 12.4, 105)
    two = [commit(n, n + 10.0, 96 + n) for n in range(21, 31)]
    order = [*one[:12], late, *one[12:]]
    first = {int(c.xid): Written(Lsn(1000 + 10 * place), at(c)) for place, c in enumerate(order)}
    second = {int(c.xid): Written(Lsn(1170 + 10 * place), at(c)) for place, c in enumerate(two)}
    fork = Fork(15.2, 15.3, Lsn(1155), 21.0)
    return Ledger((*order, *two), {1: first, 2: second}, fork)


def at(item: Commit) -> datetime:
    return START + timedelta(seconds=item.begun)


LEDGER = ledger()
BY_SEQ = {c.seq: c for c in LEDGER.acked}


def test_commit_records_are_read_and_aborts_are_not() -> None:
    found = read_commits(WAL)
    assert list(found) == [1073, 1074]
    moment = datetime(2026, 11, 23, 9, 4, 4, 785033, tzinfo=UTC)
    assert found[1073] == Written(Lsn.parse("0/60467F8"), moment)


def span(first: int, last: int) -> set[int]:
    return set(range(first, last + 1))


@pytest.mark.parametrize(
    ("border", "there"),
    [
        (at_commit(BY_SEQ[8], 1, included=True), span(1, 8)),
        (at_commit(BY_SEQ[8], 1, included=False), span(1, 7)),
        (at_commit(BY_SEQ[LATE], 1, included=True), span(1, 12) | {LATE}),
        (at_commit(BY_SEQ[LATE], 1, included=False), span(1, 12)),
        (at_commit(BY_SEQ[18], 1, included=True), span(1, 18) | {LATE}),
        (at_commit(BY_SEQ[25], 2, included=True), span(1, 15) | {LATE} | span(21, 25)),
        (end_of(1), span(1, 20) | {LATE}),
        (end_of(2), span(1, 15) | {LATE} | span(21, 30)),
    ],
)
def test_what_must_be_there_and_all_else_must_not(border: Border, there: set[int]) -> None:
    found = expect(LEDGER, border)
    assert found.there == there
    assert found.absent == set(BY_SEQ) - there


def test_what_was_on_its_way_at_the_target_may_be_on_either_side() -> None:
    found = expect(LEDGER, Border(8.005, 9.001))
    assert set(BY_SEQ) - found.there - found.absent == {8, 9}


CELL = Cell("xid-inclusive", RecoveryTarget("xid", "109"), at_commit(BY_SEQ[8], 1, included=True))
END = str(LEDGER.written(BY_SEQ[8]).lsn)
SEEN = Seen(frozenset(span(1, 8)), 8, END, "recovery stopping after commit of transaction 109")


def test_a_target_reached_exactly_passes() -> None:
    finding = judge_cell(CELL, LEDGER, SEEN)
    assert finding.status is Status.PASS, finding.observed
    assert finding.id == "drill.pitr.xid-inclusive"
    near = beside(LEDGER, CELL, SEEN)
    assert near == {"before": [True] * 5, "after": [False] * 5}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"there": frozenset(span(1, 7)), "counted": 7}, "missing: 8"),
        ({"there": frozenset(span(1, 9)), "counted": 9}, "after the target: 9"),
        ({"there": frozenset(span(1, 8) - {3}), "counted": 7}, "missing: 3"),
        ({"counted": 9}, "psql counts 9"),
        ({"redo_end": str(LEDGER.written(BY_SEQ[9]).lsn)}, "says otherwise of 9"),
        ({"said": "recovery stopping before commit of transaction 109"}, "says otherwise of 8"),
        ({"objections": ("not promoted",)}, "not promoted"),
        ({"there": frozenset({*span(1, 8), 77}), "counted": 9}, "never acknowledged: 77"),
    ],
)
def test_each_way_of_being_wrong_is_named(changes: dict[str, object], said: str) -> None:
    finding = judge_cell(CELL, LEDGER, replace(SEEN, **changes))  # type: ignore[arg-type]
    assert finding.status is Status.FAIL
    assert said in finding.observed


def test_without_the_wal_nothing_is_proven() -> None:
    assert judge_cell(CELL, LEDGER, replace(SEEN, redo_end="")).status is Status.UNKNOWN
    lacking = replace(LEDGER, wal={1: {}, 2: {}})
    finding = judge_cell(CELL, lacking, SEEN)
    assert finding.status is Status.FAIL
    assert "holds no commit" in finding.observed


def test_a_target_with_one_side_only_proves_nothing() -> None:
    one = replace(LEDGER, acked=tuple(c for c in LEDGER.acked if c.seq in span(1, 8)))
    assert "one side" in judge_cell(CELL, one, SEEN).observed


def test_a_server_that_tells_other_commit_times_is_found() -> None:
    stamps = {c.seq: at(c) for c in LEDGER.acked}
    assert judge_times(LEDGER, stamps).status is Status.PASS
    shifted = judge_times(LEDGER, stamps | {3: at(BY_SEQ[3]) + timedelta(minutes=30)})
    assert shifted.status is Status.FAIL
    assert "not: 3" in shifted.observed
    assert judge_times(LEDGER, {}).status is Status.UNKNOWN


MOMENTS = Moments(
    LEDGER,
    {c.seq: at(c) for c in LEDGER.acked},
    Point("it's here", 15.2, 15.3, Lsn(1155)),
    (23.0, 24.0),
    2,
    START - timedelta(seconds=5),
)


def test_every_cell_has_a_target_with_two_sides() -> None:
    cells = build(MOMENTS, names())
    assert [cell.name for cell in cells] == list(names())
    assert len(cells) > 20
    for cell in cells:
        found = expect(LEDGER, cell.border)
        assert found.there
        assert found.absent
        assert cell.name.startswith(cell.target.kind)
        assert ("exclusive" in cell.name) is cell.target.exclusive


def test_one_instant_in_four_ways_of_writing_is_one_target() -> None:
    wanted = [name for name in names() if name.startswith("time-") and "timeline" not in name]
    values = {c.name: c.target.value for c in build(MOMENTS, tuple(wanted))}
    before = values.pop("time-inclusive-microsecond-before")
    assert set(values.values()) == {"2026-11-22 21:00:02.000000+00"}
    assert before == "2026-11-22 21:00:01.999999+00"


def test_one_transaction_id_on_two_timelines_is_two_targets() -> None:
    names_ = ("xid-inclusive-timeline-1", "xid-inclusive-timeline-2")
    one, two = build(MOMENTS, names_)
    assert one.target.value == two.target.value
    assert expect(LEDGER, one.border) != expect(LEDGER, two.border)


def test_an_unknown_cell_is_refused_with_the_known_ones() -> None:
    assert chosen("latest, name") == ("name", "latest")
    assert chosen("") == names()
    assert not needs_fork(chosen("latest,name"))
    assert needs_fork(chosen("latest-timeline-1"))
    with pytest.raises(UsageError) as caught:
        chosen("latest,xid-inklusive")
    assert "xid-inklusive" in str(caught.value.value)
    assert "xid-inclusive-late" in caught.value.hint
