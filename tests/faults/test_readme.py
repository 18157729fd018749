"""The score in the README comes from the newest whole run of all faults, or it is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.evidence.folder import checkout
from chronos_ops.evidence.manifest import write_manifest
from chronos_ops.evidence.report_faults import detection_chart
from chronos_ops.faults.fault import registry
from chronos_ops.faults.judging import Tried, measures
from chronos_ops.faults.readme import BEGIN, END, line, newest_score, write_line
from chronos_ops.model.errors import UsageError
from chronos_ops.model.result import Result, Verdict

ROWS = [
    Tried("timer_disabled", 7, True, 9.5, 1, "backup.timer.diff", "r"),
    Tried("object_flipped", 8, False, None, 0, "backup.repo1.verified", "r"),
]


def result(run_id: str, ended: str, **more: Any) -> Result:
    given: dict[str, Any] = {
        "schema": "chronos-ops/result/1",
        "run_id": run_id,
        "runbook": "fault_catalogue",
        "target": "lab",
        "verdict": Verdict.DEVIATED,
        "started_at": "",
        "ended_at": ended,
        "hardware": "2 cores",
        "measures": measures(ROWS, []),
    }
    return Result.model_validate(given | more)


def keep(root: Path, run: Result, only: str = "") -> Path:
    folder = root / "outputs" / run.target / run.run_id
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(run.model_dump_json(by_alias=True))
    (folder / "parameters.json").write_text(json.dumps({"parameters": {"only": only}}))
    write_manifest(folder)
    return folder


def test_the_newest_whole_run_of_all_faults_is_written_between_the_markers(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    with pytest.raises(UsageError, match="no run of faults"):
        write_line(tmp_path)
    keep(tmp_path, result("1-faults-a", "2026-11-23T10:00:00Z"))
    newest = keep(tmp_path, result("2-faults-b", "2026-11-23T11:00:00Z"))
    keep(tmp_path, result("3-faults-c", "2026-11-23T12:00:00Z"), only="timer_disabled")
    keep(tmp_path, result("4-faults-d", "2026-11-23T13:00:00Z", measures={}))
    assert newest_score(tmp_path).run_id == "2-faults-b"
    assert write_line(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert f"**1 of 2** faults tried (the catalogue has {len(registry())}) were named" in text
    assert "not: object_flipped" in text
    assert "`2-faults-b` on the lab `lab`, 2026-11-23" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert not write_line(tmp_path)  # it says so already
    (newest / "result.json").write_text("{}")  # changed after its end: no evidence any more
    assert newest_score(tmp_path).run_id == "1-faults-a"
    shutil.rmtree(tmp_path / "outputs" / "lab" / "1-faults-a")
    assert newest_score(tmp_path).run_id == "3-faults-c"  # rather than none: some of them


def test_a_readme_without_markers_is_refused(tmp_path: Path) -> None:
    keep(tmp_path, result("1-faults-a", "2026-11-23T10:00:00Z"))
    (tmp_path / "README.md").write_text("nothing\n")
    with pytest.raises(UsageError, match="lacks the markers"):
        write_line(tmp_path)


def test_this_readme_has_the_line_of_a_run() -> None:
    text = (checkout() / "README.md").read_text(encoding="utf-8")
    said = text.partition(BEGIN)[2].partition(END)[0]
    assert "were named, each by the finding that stands for it" in said
    assert "false alarms in" in said


def test_the_chart_shows_what_was_not_named() -> None:
    svg = detection_chart(result("r", "2026-11-23T10:00:00Z"))
    assert "1 of 2 faults named" in svg
    assert "not named" in svg
    assert "9.5 s" in svg
    assert "No fault was tried" in detection_chart(result("r", "", measures={}))
    assert "**0** false alarms" in line(result("r", "2026-11-23T10:00:00Z"))
