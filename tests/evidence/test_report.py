"""Charts: the same result gives the same bytes, and the title says what was found."""

from collections.abc import Callable
from typing import Any

import pytest

from chronos_ops.evidence import report
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.timing import Achieved, Objectives, Phase

PHASES = [
    ("detect", 3.1),
    ("provision", 14.2),
    ("restore", 6.5),
    ("recovery", 1.4),
    ("verify", 9.0),
]


def result(**more: Any) -> Result:
    values: dict[str, Any] = {
        "run_id": "r",
        "runbook": "disaster_recovery",
        "target": "lab",
        "verdict": Verdict.PASSED,
        "started_at": "2026-11-22T00:00:00.000000Z",
        "ended_at": "2026-11-22T00:01:00.000000Z",
        "objectives": Objectives(recovery_time_seconds=3600, recovery_point_seconds=900),
        "phases": [Phase(name=n, started_at="", seconds=s) for n, s in PHASES],
        "achieved": Achieved(lost_commits=3, recovery_point_seconds=1.5),
        "measures": {
            "commits": [
                {"second": -2.0, "acknowledged": 5, "recovered": 5},
                {"second": -1.0, "acknowledged": 5, "recovered": 2},
            ],
            "backup_sets": [
                {"repository": "repo1", "type": "full", "stopped": "2026-11-22T02:00:00Z"},
                {"repository": "repo1", "type": "diff", "stopped": "2026-11-22T03:00:00Z"},
                {"repository": "repo2", "type": "full", "stopped": "2026-11-22T04:00:00Z"},
            ],
        },
    }
    return Result(schema="chronos-ops/result/1", **{**values, **more})


CHARTS = [report.waterfall, report.commits, report.restore_points]


@pytest.mark.parametrize("chart", CHARTS)
def test_the_same_result_gives_the_same_bytes(chart: Callable[[Result], str]) -> None:
    assert chart(result()) == chart(result())
    assert "http" not in chart(result()).split("<defs>", 1)[1].replace("http://www.w3.org", "")


@pytest.mark.parametrize("chart", CHARTS)
def test_nothing_measured_is_said_not_drawn_as_zero(chart: Callable[[Result], str]) -> None:
    svg = chart(result(phases=[], measures={}, achieved=Achieved()))
    assert ">No " in svg


def test_the_titles_say_the_finding() -> None:
    assert "Recovered and verified in 34.2 s, objective 1 h 00 min" in report.waterfall(result())
    one_second = Objectives(recovery_time_seconds=1, recovery_point_seconds=900)
    assert "Objective missed: 34.2 s against 1.0 s" in report.waterfall(
        result(objectives=one_second)
    )
    assert "3 of 10 acknowledged commits were lost: the last 1.5 s" in report.commits(result())
    none_lost = Achieved(lost_commits=0, given_up_commits=7)
    assert "No promised commit was lost, 7 after the target given up" in report.commits(
        result(achieved=none_lost)
    )
    assert "3 restore points in 2 repositories" in report.restore_points(result())


def test_phases_follow_each_other_without_a_gap() -> None:
    frame = report.phases_table(result())
    assert list(frame["start"][1:]) == pytest.approx(list(frame["end"][:-1]))
    assert frame["end"].iloc[-1] == pytest.approx(34.2)


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.26, "8.3 s"), (245.4, "4 min 05 s"), (3725, "1 h 02 min")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text
