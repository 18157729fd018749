"""The worst of several passes counts, a pass that broke is never dropped, p95 says what it is."""

import pytest

from chronos_ops.model.distribution import Pass, judge_passes, nearest_rank, quantiles, table
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.timing import Objectives

WANTED = Objectives(recovery_time_seconds=60, recovery_point_seconds=90)


def one(
    number: int, seconds: float | None = 30.0, point: float | None = 10.0, **more: object
) -> Pass:
    given: dict[str, object] = {"rate": 1.0, "bound_seconds": 60.5, "checks": 20, **more}
    return Pass(
        number,
        recovery_time_seconds=seconds,
        recovery_point_seconds=point,
        **given,  # type: ignore[arg-type]
    )


def judged(*passes: Pass, wanted: int = 0) -> dict[str, Finding]:
    found = judge_passes(passes, wanted or len(passes), WANTED)
    return {finding.id.removeprefix("drill.distribution."): finding for finding in found}


@pytest.mark.parametrize(
    ("values", "p50", "p95", "worst"),
    [
        ([], None, None, None),
        ([4.0], 4.0, 4.0, 4.0),
        ([2.0, 1.0], 1.0, 2.0, 2.0),
        ([3.0, 1.0, 2.0], 2.0, 3.0, 3.0),
        ([float(n) for n in range(1, 20)], 10.0, 19.0, 19.0),  # below 20 p95 is the worst
        ([float(n) for n in range(1, 21)], 10.0, 19.0, 20.0),
        ([float(n) for n in range(1, 101)], 50.0, 95.0, 100.0),
    ],
)
def test_quantiles_are_values_that_were_measured(
    values: list[float], p50: float | None, p95: float | None, worst: float | None
) -> None:
    assert quantiles(values) == {"p50": p50, "p95": p95, "worst": worst}


def test_the_lowest_rank_is_the_first() -> None:
    assert nearest_rank([5.0, 6.0], 0.0) == 5.0


def test_good_passes_pass_and_n_is_shown() -> None:
    found = judged(one(1), one(2), one(3))
    assert {f.status for f in found.values()} == {Status.PASS}
    assert set(found) == {
        "complete", "recovery-time", "recovery-point", "bound", "pass-2", "pass-3",
    }  # fmt: skip
    assert "n=3 of 3" in found["recovery-time"].observed


@pytest.mark.parametrize(
    ("bad", "finding"),
    [
        (one(2, seconds=60.0), "recovery-time"),  # the objective itself is missed: "< 1 h"
        (one(2, point=95.0, bound_seconds=99.0), "recovery-point"),
        (one(2, point=70.0), "bound"),
    ],
)
def test_one_bad_pass_of_many_decides(bad: Pass, finding: str) -> None:
    found = judged(one(1), bad, *(one(n) for n in range(3, 9)))
    assert [name for name, f in found.items() if f.status is Status.FAIL] == [finding]
    assert "pass 2" in found[finding].observed


def test_each_pass_has_its_own_bound() -> None:
    """The second's push took longer; the first is above its own bound, and below the second's."""
    found = judged(one(1, point=61.0), one(2, bound_seconds=80.0))["bound"]
    assert found.status is Status.FAIL
    assert "pass 1" in found.observed


def test_a_pass_that_broke_is_counted_and_named() -> None:
    broke = one(2, None, None, checks=3, failed="restore: ChronosError: disk full")
    found = judged(one(1), broke)
    assert found["complete"].status is Status.FAIL
    assert "pass 2: restore" in found["complete"].observed
    assert found["pass-2"].status is Status.FAIL
    assert found["recovery-time"].status is Status.UNKNOWN  # its time is not known: not good
    assert len(table([one(1), broke])) == 2 + 3


def test_a_bad_check_of_a_pass_fails_the_run_by_its_number() -> None:
    found = judged(one(1), one(2, bad=("drill.fault.abrupt",)))["pass-2"]
    assert found.status is Status.FAIL
    assert "drill.fault.abrupt" in found.observed
    assert judged(one(1), one(2, checks=0))["pass-2"].status is Status.UNKNOWN


def test_passes_that_never_ran_are_missed() -> None:
    assert judged(one(1), wanted=3)["complete"].status is Status.FAIL


def test_where_no_commit_can_be_lost_no_point_is_judged() -> None:
    proofs = [
        one(n, point=None, bound_seconds=None, not_measured=("recovery_point_seconds",))
        for n in (1, 2)
    ]
    found = judged(*proofs)
    assert found["recovery-point"].status is Status.NOT_APPLICABLE
    assert found["bound"].status is Status.NOT_APPLICABLE
    assert found["recovery-time"].status is Status.PASS
    pitr = judged(one(1, point=0.0, bound_seconds=None), one(2, point=0.0, bound_seconds=None))
    assert pitr["recovery-point"].status is Status.PASS
    assert pitr["bound"].status is Status.NOT_APPLICABLE
