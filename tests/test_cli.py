"""The command line: what it lists and shows, what it refuses, what a summary says."""

import json
import os
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from chronos_ops.cli import shelf, stepping
from chronos_ops.cli.arguments import parse_overrides
from chronos_ops.cli.summary import duration, summary
from chronos_ops.model.errors import UsageError
from chronos_ops.model.result import Result

ROOT = Path(__file__).parents[1]


def record(run_id: str, **changes: Any) -> dict[str, Any]:
    """A drill's result.json."""
    written: dict[str, Any] = {
        "schema": "chronos-ops/result/1",
        "run_id": run_id,
        "runbook": "disaster_recovery",
        "target": "lab",
        "scenario": "instance_lost",
        "verdict": "passed",
        "started_at": "2025-06-01T10:00:00.000000Z",
        "ended_at": "2025-06-01T10:02:00.000000Z",
        "objectives": {"recovery_time_seconds": 3600, "recovery_point_seconds": 900},
        "achieved": {
            "recovery_time_seconds": 83.4,
            "first_write_seconds": 61.2,
            "verified_seconds": 83.4,
            "recovery_point_seconds": 12.5,
            "lost_commits": 250,
        },
        "phases": [
            {"name": "detect", "started_at": "2025-06-01T10:00:30.000000Z", "seconds": 3.1},
            {"name": "restore", "started_at": "2025-06-01T10:00:33.100000Z", "seconds": 40.0},
        ],
        "findings": [
            {"id": "a", "status": "pass", "title": "rows", "observed": "9", "expected": "9"},
        ],
    }
    return written | changes


def notebook(promise: str, parameters: str = 'target = "lab"  # parameters/<target>.yaml\n') -> str:
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", promise + "\n", "\n", "More.\n"]},
        {"cell_type": "code", "source": parameters, "metadata": {"tags": ["parameters"]}},
    ]
    return json.dumps({"cells": [{"metadata": {}, **cell} for cell in cells]})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with two runbooks, a target and three runs."""
    shutil.copytree(ROOT / "chronos_ops", tmp_path / "chronos_ops")
    for name in ("notebooks", "parameters"):
        (tmp_path / name).mkdir()
    (tmp_path / "notebooks/disaster_recovery.ipynb").write_text(
        notebook("**Promise:** brings it\n back. And more.")
    )
    (tmp_path / "notebooks/preflight.ipynb").write_text("{broken")
    (tmp_path / "parameters/lab.yaml").write_text("target: lab\nhots: {}\n")
    (tmp_path / "parameters/production.example.yaml").write_text("target: production\n")
    for number, run_id in enumerate(["drill-aaa-1", "drill-aab-2", "killed-3"]):
        folder = tmp_path / "outputs/lab" / run_id
        folder.mkdir(parents=True)
        stamp = f"2025-06-0{number + 1}T10:00:00.000000Z"
        (folder / "journal.jsonl").write_text(json.dumps({"seq": 0, "at": stamp}) + "\n{cut")
        if not run_id.startswith("killed"):
            (folder / "result.json").write_text(json.dumps(record(run_id)))
    (tmp_path / "outputs/lab/stepping").mkdir()
    return tmp_path


def chronos(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chronos_ops", *words],
        cwd=tree,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


# --- the shelf --------------------------------------------------------------------------------


def test_runbooks_give_their_promise(tree: Path) -> None:
    found = {runbook.name: runbook.promise for runbook in shelf.runbooks(tree)}
    assert found == {
        "disaster_recovery": "Brings it back",
        "preflight": "(not a readable notebook)",
    }


def test_an_example_is_no_target(tree: Path) -> None:
    assert shelf.targets(tree) == ["lab"]


def test_runs_are_newest_first_and_killed_ones_are_not_forgotten(tree: Path) -> None:
    assert [run.run_id for run in shelf.runs(tree)] == ["killed-3", "drill-aab-2", "drill-aaa-1"]


@pytest.mark.parametrize(
    ("text", "run_id"),
    [
        ("latest", "killed-3"),
        ("drill-aaa-1", "drill-aaa-1"),
        ("drill-aab", "drill-aab-2"),
        ("k", "killed-3"),
    ],
)
def test_a_run_is_found(tree: Path, text: str, run_id: str) -> None:
    assert shelf.find_run(text, tree).run_id == run_id


@pytest.mark.parametrize(
    ("text", "noun", "hint"),
    [
        ("drill", "more than one run", "drill-aab-2, drill-aaa-1"),
        ("drill-aac-1", "unknown run", "drill-aa"),
        ("", "unknown run", "there are: killed-3"),
    ],
)
def test_no_run_is_guessed(tree: Path, text: str, noun: str, hint: str) -> None:
    with pytest.raises(UsageError, match=noun) as caught:
        shelf.find_run(text, tree)
    assert hint in caught.value.hint


def test_latest_of_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run yet"):
        shelf.find_run("latest", tmp_path)


def test_an_unknown_runbook_gets_the_nearest_name(tree: Path) -> None:
    with pytest.raises(UsageError, match="unknown runbook: 'desaster_recovery'") as caught:
        shelf.find_runbook("desaster_recovery", tree)
    assert caught.value.hint == "did you mean 'disaster_recovery'?"


# --- arguments --------------------------------------------------------------------------------


def test_overrides_keep_their_text() -> None:
    words = ["a=1", "recovery_target=time:2025-06-01 10:00+02", "empty=", "sql=x=y"]
    assert parse_overrides(words) == {
        "a": "1",
        "recovery_target": "time:2025-06-01 10:00+02",
        "empty": "",
        "sql": "x=y",
    }
    assert parse_overrides(None) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["novalue"], "-p key=value"),
        (["=1"], "-p key=value"),
        (["a b=1"], "-p key=value"),
        (["a=1", "a=2"], "given twice"),
        (["approve=lab"], "use --approve"),
        (["target=lab"], "use --target"),
        (["plan=true"], "use --plan"),
    ],
)
def test_malformed_overrides_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_overrides(words)


# --- the summary ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "not measured"),
        (0, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 00 s"),
        (125.4, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (3720, "1 h 02 min"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def rendered(**changes: Any) -> list[str]:
    """The summary's lines, each with its frame and runs of blanks taken away."""
    out = StringIO()
    result = Result.model_validate(record("r-1", **changes))
    Console(file=out, width=160).print(summary(result, Path("/evidence/r-1")))
    return [" ".join(line.replace("│", " ").split()) for line in out.getvalue().splitlines()]


def test_a_summary_says_what_counts() -> None:
    lines = rendered()
    assert "disaster_recovery on lab, scenario instance_lost: passed (r-1)" in lines
    assert "restore 10:00:33 40.0 s" in lines
    assert "recovery time 1 min 23 s < 1 h 00 min kept" in lines
    assert "recovery point 12.5 s < 15 min 00 s kept" in lines
    assert "lost commits 250" in lines
    assert "Checks: 1 of 1 good" in lines
    assert "Evidence: /evidence/r-1" in lines


def test_a_missed_objective_is_said() -> None:
    lines = rendered(
        verdict="deviated",
        reasons=["recovery time over its objective"],
        objectives={"recovery_time_seconds": 1, "recovery_point_seconds": 900},
    )
    assert "recovery time 1 min 23 s < 1.0 s MISSED" in lines
    assert "recovery time over its objective" in lines


def test_an_objective_that_is_just_reached_is_not_kept() -> None:
    assert "recovery time 1 min 23 s < 1 min 23 s MISSED" in rendered(
        objectives={"recovery_time_seconds": 83.4, "recovery_point_seconds": 900}
    )


def test_what_was_not_measured_is_not_shown_as_kept() -> None:
    lines = rendered(
        achieved={"recovery_time_seconds": 1.0, "recovery_point_seconds": None}, objectives=None
    )
    assert "recovery point not measured none not known" in lines
    assert "lost commits not measured" in lines


def test_what_did_not_pass_is_shown_with_its_hint() -> None:
    finding = {
        "id": "b",
        "status": "unknown",
        "title": "the archive",
        "observed": "[no answer]",
        "expected": "reaches",
        "hint": "look there",
    }
    lines = rendered(findings=[finding])
    assert "Checks: 0 of 1 good" in lines
    assert "the archive unknown [no answer] reaches look there" in lines


# --- scenarios --------------------------------------------------------------------------------


def test_a_scenario_is_a_file(tree: Path) -> None:
    folder = tree / "chronos_ops/drill/scenarios"
    folder.mkdir(exist_ok=True)
    for name in ("__init__", "instance_lost", "meteorite"):
        (folder / f"{name}.py").touch()
    assert {"instance_lost", "meteorite"} <= set(shelf.scenarios(tree))
    assert "__init__" not in shelf.scenarios(tree)
    shelf.check_scenario("meteorite", tree)
    with pytest.raises(UsageError, match="unknown scenario: 'instance_lots'") as caught:
        shelf.check_scenario("instance_lots", tree)
    assert caught.value.hint == "did you mean 'instance_lost'?"


# --- commands ---------------------------------------------------------------------------------


def test_list(tree: Path) -> None:
    done = chronos(tree, "list")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "disaster_recovery  Brings it back" in lines
    assert "lab  not usable: not valid: parameters/lab.yaml" in done.stdout
    runs = lines[lines.index("Runs") + 1 :]
    assert runs == [
        "killed-3  lab  no result",
        "drill-aab-2  lab  disaster_recovery  passed  recovered in 1 min 23 s",
        "drill-aaa-1  lab  disaster_recovery  passed  recovered in 1 min 23 s",
    ]


def test_show(tree: Path) -> None:
    done = chronos(tree, "show", "drill-aab")
    assert done.returncode == 0, done.stderr
    assert "passed" in done.stdout
    raw = chronos(tree, "show", "drill-aab", "--json").stdout
    assert json.loads(raw) == record("drill-aab-2")


def test_a_run_without_a_result_is_not_known(tree: Path) -> None:
    done = chronos(tree, "show", "latest")
    assert done.returncode == 3
    assert "left no result" in done.stderr
    assert "journal.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_result_that_is_none_is_not_known(tree: Path) -> None:
    (tree / "outputs/lab/killed-3/result.json").write_text('{"verdict": "passed"}')
    done = chronos(tree, "show", "killed-3")
    assert done.returncode == 3
    assert "is not a result" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "disaster_recovery", "--target", "labb"], "did you mean 'lab'?"),
        (["run", "disaster_recovery", "--target", "lab", "--approve", "prod"], "another target"),
        (["run", "disaster_recovery", "--target", "lab", "-p", "x"], "-p key=value"),
        (["run", "desaster_recovery", "--target", "lab"], "did you mean 'disaster_recovery'?"),
        (["notebook", "disaster_recovery", "--target", "nowhere"], "unknown target: 'nowhere'"),
        (["notebook", "disaster_recovery", "--target", "lab"], "hots: unknown key"),
    ],
)
def test_wrong_usage_touches_nothing(tree: Path, words: list[str], said: str) -> None:
    before = sorted(tree.glob("outputs/**/*"))
    done = chronos(tree, *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tree.glob("outputs/**/*")) == before


def test_the_unexpected_is_not_a_pass(tree: Path) -> None:
    with (tree / "chronos_ops/cli/shelf.py").open("a") as file:
        file.write("\n\ndef runs(root=ROOT):\n    raise RuntimeError('the shelf fell down')\n")
    done = chronos(tree, "list")
    assert done.returncode == 3
    assert done.stderr.startswith("not expected: RuntimeError('the shelf fell down')\n")
    assert "Traceback" in done.stderr


# --- stepping ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "filled"),
    [
        ('plan = False\ntarget = "lab"  # file\n', 'plan = False\ntarget = "st\\"g"  # file\n'),
        ('target: str = "lab"\n', 'target: str = "st\\"g"\n'),
    ],
)
def test_a_copy_names_its_target_and_the_original_stays(
    tree: Path, written: str, filled: str
) -> None:
    path = tree / "notebooks/disaster_recovery.ipynb"
    path.write_text(notebook("p", written))
    before = path.read_bytes()
    copy = stepping.working_copy(shelf.find_runbook("disaster_recovery", tree), 'st"g', tree)
    assert json.loads(copy.read_text())["cells"][1]["source"] == filled
    assert copy.parent == tree / 'outputs/st"g/stepping'
    assert path.read_bytes() == before


def test_a_notebook_without_a_target_is_refused(tree: Path) -> None:
    (tree / "notebooks/disaster_recovery.ipynb").write_text(notebook("p", "plan = False\n"))
    with pytest.raises(UsageError, match="no parameter `target`"):
        stepping.working_copy(shelf.find_runbook("disaster_recovery", tree), "lab", tree)


def test_jupyterlab_listens_here_only() -> None:
    command = stepping.jupyterlab_command(Path("/x/a b.ipynb"), browser=False, port=8901)
    assert "--ServerApp.ip=127.0.0.1" in command
    assert "--ServerApp.port=8901" in command
    assert "--LabApp.default_url=/lab/tree/a%20b.ipynb" in command
    assert "--no-browser" in command
    assert "--no-browser" not in stepping.jupyterlab_command(
        Path("/x/a b.ipynb"), browser=True, port=8901
    )
