"""Recovery time by phase and recovery point by commits."""

from datetime import UTC, datetime

from chronos_ops.drill.objectives import (
    PhaseClock,
    account,
    achieved,
    arithmetic,
    around_fault,
    judge_gap_free,
    judge_objectives,
    ranges,
)
from chronos_ops.drill.workload import Commit, CommitRecord
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.timing import Achieved, Objectives
from tests.drill.test_restore import settings


def commit(seq: int, acked: float, lsn: str = "0/3000000") -> Commit:
    return Commit(seq, acked - 0.01, acked, "2026-11-22T21:00:00Z", lsn, str(700 + seq))


RECORD = CommitRecord(tuple(commit(n, 100 + n) for n in range(1, 11)), in_doubt=(11, 12))


def test_lost_commits_and_the_recovery_point() -> None:
    loss = account(RECORD, [1, 2, 3, 4, 5, 6, 11])
    assert [c.seq for c in loss.lost] == [7, 8, 9, 10]
    assert (loss.promised, loss.recovered, loss.seconds) == (10, 6, 4.0)
    assert loss.unasked == (11,)  # in doubt, and it did commit


def test_a_hole_in_the_middle_is_lost_too() -> None:
    loss = account(RECORD, [1, 2, 4, 5, 6, 7, 8, 9, 10])
    assert [c.seq for c in loss.lost] == [3]
    assert loss.seconds == 0.0


def test_nothing_recovered_is_not_zero_seconds() -> None:
    assert account(RECORD, []).seconds is None
    assert len(account(RECORD, []).lost) == 10


def test_commits_after_a_recovery_target_are_given_up_not_lost() -> None:
    loss = account(RECORD, range(1, 6), target=105.5)
    assert (loss.promised, loss.lost) == (5, ())
    assert [c.seq for c in loss.given_up] == [6, 7, 8, 9, 10]


def test_phases_lie_end_to_end() -> None:
    moments = iter([13.0, 20.5])
    clock = PhaseClock(10.0, datetime(2026, 11, 22, 21, tzinfo=UTC), lambda: next(moments))
    detect = clock.close("detect")
    assert (detect.started_at, detect.seconds) == ("2026-11-22T21:00:00.000000Z", 3.0)
    provision = clock.close("provision")
    assert (provision.started_at, provision.seconds) == ("2026-11-22T21:00:03.000000Z", 7.5)
    assert clock.elapsed == 10.5
    assert clock.close("first_write", at=25.0).seconds == 4.5
    assert clock.close("verify", at=26.0).seconds == 1.0
    found = achieved(clock, account(RECORD, [1]), pitr=False)
    assert (found.first_write_seconds, found.verified_seconds) == (15.0, 16.0)
    assert found.recovery_time_seconds == 16.0
    assert found.given_up_commits is None


def test_an_unfinished_recovery_has_no_recovery_time() -> None:
    clock = PhaseClock(0.0, datetime(2026, 11, 22, tzinfo=UTC), lambda: 1.0)
    clock.close("detect")
    assert achieved(clock, account(RECORD, []), pitr=False).recovery_time_seconds is None


def test_objectives_missed_kept_and_unknown() -> None:
    wanted = Objectives(recovery_time_seconds=60, recovery_point_seconds=10)
    kept = Achieved(recovery_time_seconds=60, recovery_point_seconds=3)
    assert [f.status for f in judge_objectives(kept, wanted, 61)] == [Status.PASS] * 3
    missed = Achieved(recovery_time_seconds=60.1, recovery_point_seconds=70)
    assert [f.status for f in judge_objectives(missed, wanted, 61)] == [Status.FAIL] * 3
    assert [f.status for f in judge_objectives(Achieved(), wanted, 61)] == [Status.UNKNOWN] * 3


def test_ranges_and_the_counts_around_the_fault() -> None:
    assert ranges([5, 1, 2, 3, 9]) == "1-3, 5, 9"
    assert ranges([]) == "none"
    rows = around_fault(RECORD, [1, 2], fault=104.5)
    assert rows[0] == {"second": -4.0, "acknowledged": 1, "recovered": 1}
    assert sum(row["acknowledged"] for row in rows) == 10
    assert sum(row["recovered"] for row in rows) == 2


def test_of_several_drills_the_worst_counts() -> None:
    wanted = Objectives(recovery_time_seconds=60, recovery_point_seconds=10)
    now = Achieved(recovery_time_seconds=20, recovery_point_seconds=3)
    rows = arithmetic(settings(), wanted, now, 0.5, earlier=[58.7, 4.0])
    by_name = {row["what"]: row["seconds"] for row in rows}
    assert by_name["worst achieved in 3 drills"] == "58.7"
    assert by_name["worst recovery point"] == "60.5"  # archive_timeout + push
    assert by_name["recovery time with alarm and response"] == "1820.0"
    lost = arithmetic(settings(), wanted, Achieved(), 0.5)
    assert {row["seconds"] for row in lost if row["kind"] == "measured"} == {"not measured", "0.5"}


def test_a_commit_missing_in_the_middle_or_made_up_is_wrong_data() -> None:
    def judged(there: set[int]) -> Finding:
        return judge_gap_free(RECORD, account(RECORD, there))

    assert judged({1, 2, 3, 4, 5}).status is Status.PASS  # only the end is lost
    assert judged({1, 2, 3, 11}).status is Status.PASS  # in doubt: may be there
    hole = judged({1, 2, 5})
    assert hole.status is Status.FAIL
    assert "3-4" in hole.observed
    stranger = judged({1, 2, 3, 99})
    assert stranger.status is Status.FAIL
    assert "99" in stranger.observed
    assert judged(set()).status is Status.UNKNOWN
