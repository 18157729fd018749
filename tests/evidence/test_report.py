"""Charts: the same bytes whenever drawn, titles that say the finding, nothing out of nothing."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.evidence import report
from chronos_ops.model.result import Result
from chronos_ops.model.timing import Achieved, Objectives, Phase

Draw = Callable[[Result], str]
CHARTS: list[Draw] = [report.waterfall, report.commits, report.restore_points, report.controls]


def drilled(objective: float = 3600.0, lost: int = 7, **changes: Any) -> Result:
    values: dict[str, Any] = {
        "schema": "chronos-ops/result/1",
        "run_id": "r",
        "runbook": "disaster_recovery",
        "target": "lab",
        "verdict": "passed",
        "started_at": "2026-11-22T21:00:00.000000Z",
        "ended_at": "2026-11-22T21:10:00.000000Z",
        "objectives": Objectives(recovery_time_seconds=objective, recovery_point_seconds=900),
        "achieved": Achieved(
            recovery_time_seconds=31.5, recovery_point_seconds=12.25, lost_commits=lost
        ),
        "phases": [
            Phase(name="detect", started_at="2026-11-22T21:00:00.000000Z", seconds=3.5),
            Phase(name="restore", started_at="2026-11-22T21:00:03.500000Z", seconds=28.0),
        ],
        "measures": {
            "commits": [
                {"second": -3.0, "acknowledged": 5, "recovered": 5},
                {"second": -2.0, "acknowledged": 5, "recovered": 3},
                {"second": -1.0, "acknowledged": 5, "recovered": 0},
            ],
            "backup_sets": [
                {"repository": "repo1", "type": "full", "stopped": "2026-11-22T02:00:00Z"},
                {"repository": "repo1", "type": "diff", "stopped": "2026-11-22T03:00:00.5Z"},
                {"repository": "repo2", "type": "full", "stopped": "2026-11-22T04:00:00Z"},
            ],
            "audit_before": {"ssh": {"fail": 4, "pass": 3}, "kernel": {"error": 1}},
            "audit_after": {"ssh": {"pass": 6, "accepted": 1}, "kernel": {"not_applicable": 1}},
        },
    }
    return Result(**{**values, **changes})


def words(svg: str) -> str:
    return "\n".join(ET.fromstring(svg).itertext())  # noqa: S314


@pytest.mark.parametrize("draw", CHARTS)
def test_drawn_twice_the_bytes_are_the_same(draw: Draw, tmp_path: Path) -> None:
    kept = tmp_path / "result.json"
    kept.write_text(drilled().model_dump_json(by_alias=True))
    code = (
        "import sys, pathlib; from chronos_ops.evidence import report; "
        "from chronos_ops.model.result import Result; "
        f"kept = Result.model_validate_json(pathlib.Path(sys.argv[1]).read_text()); "
        f"sys.stdout.write(report.{draw.__name__}(kept))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(kept)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout == draw(drilled())


@pytest.mark.parametrize("draw", CHARTS)
def test_a_chart_is_svg_with_real_text_and_no_date(draw: Draw) -> None:
    svg = draw(drilled())
    assert svg.startswith("<svg")
    assert "<text" in svg
    assert "dc:date" not in svg
    assert "<script" not in svg


@pytest.mark.parametrize(
    ("result", "title"),
    [
        (drilled(), "Recovered and verified in 31.5 s: 0.9% of the objective of 1 h"),
        (drilled(objective=30), "Recovered and verified in 31.5 s: 1.50 s over the objective"),
        (drilled(objectives=None), "Recovered and verified in 31.5 s"),
        (drilled(achieved=Achieved()), "The recovery was not measured to its end"),
    ],
)
def test_the_waterfall_says_how_it_went(result: Result, title: str) -> None:
    said = words(report.waterfall(result))
    assert title in said
    assert "restore" in said
    assert "28.0 s" in said


def test_the_objective_is_drawn_where_it_is_near() -> None:
    assert "objective 1 min" not in words(report.waterfall(drilled(objective=3600)))
    assert "objective 60.0 s" in words(report.waterfall(drilled(objective=60)))


def test_an_objective_that_is_not_for_this_recovery_is_not_drawn() -> None:
    excused = {"not_measured": {"recovery_time_seconds": "it is the live repository's"}}
    said = words(report.waterfall(drilled(objective=60, measures=excused)))
    assert "objective 60.0 s" not in said
    assert "No recovery that the objective is for" in said


@pytest.mark.parametrize(
    ("achieved", "title"),
    [
        (
            Achieved(lost_commits=7, recovery_point_seconds=1.4),
            "7 acknowledged commits were lost: those of the last 1.40 s before the fault",
        ),
        (Achieved(lost_commits=0), "No promised commit was lost"),
        (
            Achieved(lost_commits=0, given_up_commits=12),
            "No promised commit was lost, 12 after the target given up",
        ),
        (Achieved(), "7 acknowledged commits were lost"),  # counted from the rows
    ],
)
def test_the_commits_chart_counts_what_was_lost(achieved: Achieved, title: str) -> None:
    assert title in words(report.commits(drilled(achieved=achieved)))


def test_restore_points_are_counted_by_repository() -> None:
    said = words(report.restore_points(drilled()))
    assert "3 backups in 2 repositories, back to 2026-11-22 02:00 UTC" in said


@pytest.mark.parametrize(
    ("before", "after", "title"),
    [
        ({"ssh": {"fail": 4}}, {"ssh": {"pass": 4}}, "not passed: 4 before, 0 after (of 4)"),
        ({"ssh": {"pass": 4}}, {"ssh": {"unknown": 4}}, "not passed: 0 before, 4 after (of 4)"),
        ({}, {"ssh": {"error": 1, "accepted": 2}}, "not passed: 1 (of 3)"),
    ],
)
def test_controls_that_broke_or_are_unknown_did_not_pass(
    before: dict[str, Any], after: dict[str, Any], title: str
) -> None:
    measures = {"audit_before": before, "audit_after": after}
    assert title in words(report.controls(drilled(measures=measures)))


@pytest.mark.parametrize("draw", CHARTS)
def test_nothing_measured_is_said_not_drawn_as_zero(draw: Draw) -> None:
    said = words(draw(drilled(phases=[], measures={}, achieved=Achieved())))
    assert said.strip().splitlines()[-1].startswith("No ")
