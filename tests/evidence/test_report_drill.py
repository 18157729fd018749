"""Charts of passes and of the forecast: titles that say the finding, readable with one pass."""

from typing import Any

from chronos_ops.drill.passes import RATES
from chronos_ops.evidence import report_drill
from chronos_ops.model.distribution import Pass
from tests.evidence.test_report import drilled, words


def passes(*rows: tuple[float | None, float | None], **more: Any) -> dict[str, Any]:
    made = [
        Pass(
            number,
            20.0 if number == 1 else RATES[number % 2],
            recovery_time_seconds=seconds,
            recovery_point_seconds=point,
            bound_seconds=60.5,
            **more,
        ).data()
        for number, (seconds, point) in enumerate(rows, start=1)
    ]
    return {"passes": made, "earlier_recovery_points": [12.0, 50.0]}


def foretold(**changes: Any) -> dict[str, Any]:
    known = {
        "label": "lab rates (lab)",
        "not_known": "",
        "objective_seconds": 3600.0,
        "restores": [{"bytes": 64e6, "wal": 16e6, "seconds": 25.0},
                     {"bytes": 3e9, "wal": 7e8, "seconds": 140.0}],
        "wal": 3e7,
        "breaks_at_size": 8.9e10,
        "curve": [[10 ** (e / 8), 20 + 4e-8 * 10 ** (e / 8)] for e in range(56, 105)],
        **changes,
    }  # fmt: skip
    return {"forecast": known}


def test_the_worst_pass_is_in_the_title_and_the_bound_is_drawn() -> None:
    svg = report_drill.distribution(
        drilled(measures=passes((31.0, 12.0), (35.5, 58.2), (29.0, 40.0)))
    )
    said = words(svg)
    assert "Worst of 3 passes: recovery time 35.5 s, recovery point 58.2 s" in said
    assert "archive_timeout + push" in said
    assert "beyond the right edge: objective 1 h" in said
    assert "earlier drills" in said
    assert {"20 commits a second", "1 commit a second", "full speed"} <= set(said.splitlines())


def test_one_pass_says_that_it_is_one() -> None:
    said = words(report_drill.distribution(drilled(measures=passes((31.0, 12.0)))))
    assert "One pass, no distribution" in said


def test_a_pass_that_broke_is_in_the_title() -> None:
    measures = passes((31.0, 12.0), (None, None))
    measures["passes"][1]["failed"] = "restore: disk full"
    assert "1 did not end" in words(report_drill.distribution(drilled(measures=measures)))


def test_a_scenario_without_a_point_says_so() -> None:
    said = words(report_drill.distribution(drilled(measures=passes((31.0, None), (30.0, None)))))
    assert "no recovery point" in said
    assert "recovery point not measured" in said


def test_nothing_measured_is_said() -> None:
    assert "No pass was measured" in words(report_drill.distribution(drilled(measures={})))
    assert "No forecast" in words(report_drill.forecast(drilled(measures={})))
    unknown = foretold(not_known="restores of 1 size only")
    said = words(report_drill.forecast(drilled(measures=unknown)))
    assert "No forecast: restores of 1 size only" in said


def test_the_forecast_names_its_rates_and_where_the_objective_breaks() -> None:
    said = words(report_drill.forecast(drilled(measures=foretold())))
    assert "Lab rates (lab): 1 h breaks at 89 GB" in said
    assert "restored and measured (2)" in said
    assert "larger than any that was restored" in said
    for size, where in ((None, "at no size that was seen"), (0, "at any size")):
        drawn = report_drill.forecast(drilled(measures=foretold(breaks_at_size=size)))
        assert where in words(drawn)


def test_drawn_twice_the_bytes_are_the_same() -> None:
    result = drilled(measures={**passes((31.0, 12.0)), **foretold()})
    for draw in (report_drill.distribution, report_drill.forecast):
        assert draw(result) == draw(result)
