"""The forecast: neither coefficient negative, disturbed repeats do not count, not known is said."""

import pytest

from chronos_ops.model.finding import Status
from chronos_ops.model.forecast import (
    Error,
    Forecast,
    Line,
    Restored,
    fit,
    forecast,
    grouped,
    judge_error,
    left_out,
    restored,
)
from chronos_ops.model.timing import Phase

MB = 1_000_000
NOISE = {64: 1.02, 256: 0.97, 1024: 1.01, 3072: 0.99}


def measured(megabytes: float, wal: float, noise: float = 1.0, **more: float) -> Restored:
    """100 MB/s restored, 50 verified, 80 of WAL replayed."""
    seconds = {
        "provision": 12.0,
        "restore": (2 + megabytes / 100) * noise,
        "recovery": 1 + wal / 80,
        "promote": 0.4,
        "first_write": 0.3,
        "verify": (1 + megabytes / 50) * noise,
        **more,
    }
    return Restored(int(megabytes * MB), int(wal * MB), seconds, "image", "r")


FOUR = [measured(size, size / 4, noise) for size, noise in NOISE.items()]


def test_a_line_through_points_is_found() -> None:
    line = fit([(0, 2.0), (100 * MB, 3.0), (1000 * MB, 12.0)])
    assert line is not None
    assert line.fixed == pytest.approx(2.0)
    assert line.rate == pytest.approx(100 * MB)


def test_one_size_is_no_line() -> None:
    assert fit([]) is None
    assert fit([(5.0, 1.0)]) is None
    assert fit([(1000.0, 1.0), (1000.0, 2.0), (1020.0, 3.0)]) is None  # repeats of one size


def test_neither_coefficient_is_negative() -> None:
    falling = fit([(1 * MB, 5.0), (100 * MB, 3.0)])
    assert falling is not None
    assert falling.per_byte == 0
    assert falling.rate is None
    assert 3.0 < falling.fixed < 5.0
    through_zero = fit([(10 * MB, 0.1), (20 * MB, 10.0)])
    assert through_zero is not None
    assert through_zero.fixed == 0
    assert through_zero.per_byte > 0


def test_a_disturbed_repeat_does_not_count() -> None:
    assert grouped([(100.0, 2.0), (101.0, 90.0), (100.0, 2.2)]) == [(100.0, 2.2)]
    quiet = fit([(100.0, 2.0), (1000.0, 11.0)])
    noisy = fit([(100.0, 2.0), (100.0, 60.0), (100.0, 2.0), (1000.0, 11.0)])
    assert noisy == quiet


def test_zero_wal_is_a_volume_like_any_other() -> None:
    assert grouped([(0.0, 1.0), (0.0, 3.0), (10.0, 5.0)]) == [(0.0, 2.0), (10.0, 5.0)]
    line = fit([(0.0, 1.0), (80.0 * MB, 2.0)])
    assert line is not None
    assert line.at(0) == pytest.approx(1.0)


def test_the_model_foretells_and_breaks_where_the_arithmetic_says() -> None:
    found = forecast([measured(size, wal) for size, wal in ((64, 16), (256, 64), (1024, 256))])
    assert isinstance(found, Forecast)
    assert found.seconds(10_000 * MB, 800 * MB) == pytest.approx(16.7 + 100 + 10 + 200)
    size = found.breaks_at_size(3600, 800 * MB)
    assert size is not None
    assert found.seconds(size, 800 * MB) == pytest.approx(3600)
    wal = found.breaks_at_wal(3600, 10_000 * MB)
    assert wal is not None
    assert found.seconds(10_000 * MB, wal) == pytest.approx(3600)


def test_an_objective_below_the_fixed_costs_breaks_at_once_and_a_flat_line_never() -> None:
    found = forecast(FOUR)
    assert isinstance(found, Forecast)
    assert found.breaks_at_size(5, 0) == 0.0
    assert Forecast({"restore": Line(3.0)}).breaks_at_size(3600, 0) is None


@pytest.mark.parametrize(
    ("known", "missing"),
    [
        ([], "never measured"),
        ([measured(64, 16)], "1 different sizes"),
        ([measured(64, 16), measured(256, 16)], "recovery was measured at 1 different WAL"),
    ],
)
def test_too_few_points_are_not_known(known: list[Restored], missing: str) -> None:
    found = forecast(known)
    assert isinstance(found, str)
    assert missing in found
    assert judge_error([], found).status is Status.NOT_APPLICABLE


def test_each_size_is_predicted_by_the_others_alone() -> None:
    errors = left_out(FOUR)
    assert [one.size for one in errors] == [size * MB for size in NOISE]
    assert all(one.error is not None and 0 < one.error < 0.05 for one in errors)
    assert judge_error(errors).status is Status.PASS
    worse = [*FOUR[:3], measured(3072, 768, 1.9)]  # the largest took twice as long as foretold
    bad = judge_error(left_out(worse))
    assert bad.status is Status.FAIL
    assert "3,072 MB" in bad.observed


def test_two_sizes_never_pass() -> None:
    errors = left_out(FOUR[:2])
    assert len(errors) == 2
    assert judge_error(errors).status is Status.NOT_APPLICABLE
    assert "-p forecast_megabytes" in judge_error(errors).hint


def test_a_size_that_cannot_be_predicted_is_not_good() -> None:
    known = Error(64, 16, 1, 20.0, 20.1, 0.01)
    unknown = Error(256, 16, 1, 20.0, None, None)
    assert judge_error([known, known, unknown]).status is Status.UNKNOWN
    assert judge_error([unknown] * 3).status is Status.UNKNOWN


def test_repeats_of_a_size_are_left_out_together() -> None:
    errors = left_out([*FOUR, measured(64.5, 16, 1.5), measured(64.2, 16)])
    assert len(errors) == 4
    assert errors[0].restores == 3


def test_a_phase_that_one_size_alone_had_is_not_held_against_the_others() -> None:
    """A drill is detected, a restore for the forecast is not."""
    struck = measured(16, 16, detect=4.0)
    errors = left_out([struck, *FOUR])
    assert errors[0].measured == pytest.approx(struck.total - 4.0)
    assert errors[0].error is not None
    assert judge_error(errors).status is Status.PASS
    found = forecast([struck, *FOUR])
    assert isinstance(found, Forecast)
    assert found.lines["detect"] == Line(4.0)


def test_fixed_costs_do_not_hide_the_error_of_what_grows() -> None:
    known = [measured(size, size / 4, provision=1000.0) for size in (64, 256, 1024)]
    known[2] = measured(1024, 256, 2.0, provision=1000.0)
    last = left_out(known)[2]
    assert last.error is not None
    assert last.growing is not None
    assert last.error < 0.05
    assert last.growing > 0.3


def test_a_restore_without_all_its_figures_is_none() -> None:
    at = "2026-11-22T21:00:00.000000Z"
    phases = [Phase(name=n, started_at=at, seconds=s) for n, s in measured(1, 1).seconds.items()]
    seen = {"restored_bytes": 5, "replayed_wal_bytes": 0, "provision_source": "x"}
    found = restored(phases, seen, "p1")
    assert found is not None
    assert found.wal == 0
    assert restored(phases[:-1], seen, "p1") is None
    assert restored(phases, {**seen, "replayed_wal_bytes": None}, "p1") is None
