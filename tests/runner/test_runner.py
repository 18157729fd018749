"""A run from the outside: what it leaves, and that nothing passes without proof (24, 27)."""

import json
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.evidence.display import bundle
from chronos_ops.evidence.journal import read_journal
from chronos_ops.evidence.manifest import differences
from chronos_ops.evidence.record import read_result
from chronos_ops.evidence.report import waterfall
from chronos_ops.evidence.steps import STEP_MIME, read_steps
from chronos_ops.model.errors import Refused
from chronos_ops.model.result import Result, Verdict
from chronos_ops.runner import execute
from tests.runner.probing import DRILL, SETUP, Cell, spec


def folder_of(tmp_path: Path, result: Result) -> Path:
    return tmp_path / "outputs" / "probe" / result.run_id


def executed(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "executed.ipynb").read_text())
    return data


def cell(folder: Path, name: str) -> dict[str, Any]:
    return next(c for c in executed(folder)["cells"] if c.get("id") == name)


def step(name: str, function: str) -> Cell:
    return (name, "step", f"run.step({name!r}, {function})")


def test_a_good_run_passes_and_leaves_its_whole_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow = tmp_path / "shadow" / "kernels" / "python3"  # another kernel of the same name
    shadow.mkdir(parents=True)
    spec_file = {"argv": ["/bin/false"], "display_name": "Python 3", "language": "python"}
    (shadow / "kernel.json").write_text(json.dumps(spec_file))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "shadow"))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "not-there.py"))
    setup = SETUP.replace("\nrun =", "\nfrom chronos_ops.evidence.report import waterfall\nrun =")
    cells = [
        step("look", "good"),
        step("make", "makes"),
        step("recover", "recovered"),
        ("waterfall", "chart", "run.chart('waterfall', waterfall)"),
    ]
    result = execute(spec(tmp_path, cells, runbook=DRILL, setup=setup))
    folder = folder_of(tmp_path, result)
    assert (result.verdict, result.reasons) == (Verdict.PASSED, [])
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names >= {
        "executed.ipynb",
        "executed.html",
        "result.json",
        "journal.jsonl",
        "manifest.json",
        "parameters.json",
        "verdict.json",
        "steps/setup.json",
        "steps/look.json",
        "steps/teardown.json",
        "charts/waterfall.svg",
    }
    assert not [name for name in names if ".tmp" in name or ".reserve" in name]
    assert read_result(folder) == result
    assert differences(folder) == []
    assert [f.id for f in result.findings] == ["probe.good"]
    assert result.measures["rows"] == 3
    assert result.measures["overhead"]["wall_seconds"] > 0
    assert read_journal(folder)[-1].kind == "run"
    # One displayed object a step, equal to its record on disk.
    outputs = cell(folder, "look")["outputs"]
    assert len(outputs) == 1
    assert outputs[0]["data"][STEP_MIME] == json.loads((folder / "steps/look.json").read_text())
    assert set(outputs[0]["data"]) == set(bundle(read_steps(folder)["look"]))
    # A chart is drawn from result.json alone, and shown.
    chart = (folder / "charts" / "waterfall.svg").read_text()
    assert chart == waterfall(result)
    assert "".join(cell(folder, "waterfall")["outputs"][0]["data"]["image/svg+xml"]) == chart
    assert 'alt="chart: waterfall"' in (folder / "executed.html").read_text()


@pytest.mark.parametrize(
    ("cells", "verdict", "reason"),
    [
        (
            [
                step("look", "bad"),
                ("silent", "step", "pass"),
                ("skip", "skip-execution", "run.step('skip', good)"),
            ],
            Verdict.UNKNOWN,
            [
                "silent: the step left no record",
                "skip: the cell was not executed",
                "check probe.bad is fail: 2 (expected 3)",
            ],
        ),
        ([("exit", "step", "import sys; sys.exit(0)")], Verdict.FAILED, ["exit: SystemExit: 0"]),
    ],
)
def test_what_is_not_proven_does_not_pass(
    tmp_path: Path, cells: list[Cell], verdict: Verdict, reason: list[str]
) -> None:
    result = execute(spec(tmp_path, cells))
    assert result.verdict is verdict
    assert result.verdict.exit_status != 0
    assert sorted(result.reasons) == sorted(reason)
    assert (folder_of(tmp_path, result) / "executed.html").is_file()


def test_after_an_error_only_teardown_and_verdict_run(tmp_path: Path) -> None:
    cells = [
        step("make", "makes"),
        step("stay", "makes_what_stays"),
        ("agree", "step", 'run.confirm("all goes")'),  # refused, but not before all was touched
        step("later", "good"),
    ]
    result = execute(spec(tmp_path, cells))
    folder = folder_of(tmp_path, result)
    assert result.verdict is Verdict.FAILED
    assert result.reasons[0].startswith("agree: Refused: not approved: all goes")
    assert "not proven to be removed: thing/stays" in result.reasons
    assert set(read_steps(folder)) == {"setup", "make", "stay", "teardown", "verdict"}
    assert read_steps(folder)["teardown"].status == "error"
    assert [e.name for e in read_journal(folder) if e.event == "removed"] == ["thing/one"]
    assert cell(folder, "later")["execution_count"] is None
    assert cell(folder, "later")["metadata"]["papermill"] == {"status": "not run"}
    assert differences(folder) == []


def test_a_dead_kernel_is_aborted_and_torn_down_from_outside(tmp_path: Path) -> None:
    cells = [
        step("make", "makes"),
        ("die", "step", "import os\nos.kill(os.getpid(), 9)"),
        step("later", "good"),
    ]
    result = execute(spec(tmp_path, cells))
    folder = folder_of(tmp_path, result)
    assert result.verdict is Verdict.ABORTED
    assert result.reasons == ["the run was ended from outside: the kernel died"]
    assert [e.name for e in read_journal(folder) if e.event == "removed"] == ["thing/one"]
    assert cell(folder, "later")["metadata"]["papermill"] == {"status": "not run"}
    assert read_result(folder) == result


def test_a_cell_that_takes_too_long_is_interrupted_then_torn_down(tmp_path: Path) -> None:
    cells = [step("make", "makes"), ("wait", "step", "import time\ntime.sleep(60)")]
    result = execute(spec(tmp_path, cells, cell_seconds=6))
    assert result.verdict is Verdict.ABORTED
    assert result.reasons == ["the run was ended from outside: time-out of a cell: 6 s"]
    assert read_steps(folder_of(tmp_path, result))["teardown"].status == "ok"


@pytest.mark.lab  # needs no lab, but seconds that the fast suite does not have
def test_a_kernel_that_does_not_obey_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)"
    cells = [step("make", "makes"), ("wait", "step", stubborn)]
    result = execute(spec(tmp_path, cells, run_seconds=6, grace_seconds=1))
    assert result.verdict is Verdict.ABORTED
    assert "time-out of 6 s" in result.reasons[0]
    removed = [e for e in read_journal(folder_of(tmp_path, result)) if e.event == "removed"]
    assert [e.name for e in removed] == ["thing/one"]


def test_a_refusal_before_anything_was_touched_leaves_no_folder(tmp_path: Path) -> None:
    cells: list[Cell] = [("agree", "step", 'run.confirm("the database is destroyed")')]
    with pytest.raises(Refused, match="not approved: the database is destroyed") as refused:
        execute(spec(tmp_path, cells))
    assert refused.value.exit_status == 2
    assert "--approve probe" in refused.value.text()
    assert [p.name for p in (tmp_path / "outputs/probe").iterdir()] == [".lock"]


def test_a_dry_run_names_the_steps_and_is_planned(tmp_path: Path) -> None:
    result = execute(spec(tmp_path, [step("make", "makes")], values={"plan": True}))
    folder = folder_of(tmp_path, result)
    assert (result.verdict, result.reasons) == (Verdict.PLANNED, [])
    assert read_steps(folder)["make"].status == "would_run"
    assert "Create a resource" in (folder / "executed.html").read_text()
    assert not [e for e in read_journal(folder) if e.event == "resource"]
