"""Where a transaction or a restore point lies in archived WAL."""

import re
from itertools import pairwise

import pytest

from chronos_ops.drill.archive_search import chunks, matches, pattern
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.wal import WalSegment

# pg_waldump 17.11, shortened
WAL = """\
rmgr: XLOG        len (rec/tot):     98/    98, tx:        752, lsn: 0/0B139898, prev 0/0B139858, \
desc: RESTORE_POINT point 2
rmgr: XLOG        len (rec/tot):     98/    98, tx:        753, lsn: 0/0C1396F0, prev 0/0C1396B0, \
desc: RESTORE_POINT before point 2
rmgr: Transaction len (rec/tot):     34/    34, tx:        752, lsn: 0/0C000028, prev 0/0B139900, \
desc: COMMIT 2026-11-23 01:39:57.602197 UTC
rmgr: Transaction len (rec/tot):     34/    34, tx:       1752, lsn: 0/0C000128, prev 0/0B139900, \
desc: ABORT 2026-11-23 01:39:57.602197 UTC
rmgr: Transaction len (rec/tot):     34/    34, tx:          0, lsn: 0/0C000228, prev 0/0B139900, \
desc: COMMIT_PREPARED 777: 2026-11-23 01:39:57.602197 UTC
"""


def found(kind: str, value: str) -> list[str]:
    target = RecoveryTarget(kind, value)  # type: ignore[arg-type]
    kept = [line for line in WAL.splitlines() if re.search(pattern(target), line)]
    return [str(lsn) for lsn in matches("\n".join(kept), target)]


@pytest.mark.parametrize(
    ("kind", "value", "lsns"),
    [
        ("name", "point 2", ["0/B139898"]),
        ("name", "point", []),
        ("xid", "752", ["0/C000028"]),
        ("xid", "52", []),
        ("xid", "1752", ["0/C000128"]),
        ("xid", "777", ["0/C000228"]),
        ("xid", str(2**32 + 752), ["0/C000028"]),  # with its epoch, as pg_current_xact_id says it
    ],
)
def test_a_target_is_found_by_its_whole_name(kind: str, value: str, lsns: list[str]) -> None:
    assert found(kind, value) == lsns


def numbers(text: str) -> list[WalSegment]:
    return [WalSegment(int(t), int(n)) for t, n in (word.split("/") for word in text.split())]


def test_segments_are_read_newest_first_each_group_with_the_start_of_the_next() -> None:
    groups = [
        [s.number for s in group]
        for group in chunks(numbers(" ".join(f"1/{n}" for n in range(20))))
    ]
    assert groups[0][-1] == 19
    assert groups[-1][0] == 0
    for newer, older in pairwise(groups):
        assert older[-1] == newer[0]
    assert sorted({n for group in groups for n in group}) == list(range(20))


def test_a_hole_and_a_timeline_part_the_groups() -> None:
    groups = list(chunks(numbers("1/3 1/4 1/6 2/7")))
    assert [[(s.timeline, s.number) for s in group] for group in groups] == [
        [(2, 7)],
        [(1, 6)],
        [(1, 3), (1, 4)],
    ]
    assert list(chunks([])) == []
