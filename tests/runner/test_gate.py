"""What a run's seal does: the secret gate fails a run (R5), the archive takes it (R4)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chronos_ops.evidence.archive import ARCHIVE, pending
from chronos_ops.evidence.archive_verify import verify_files
from chronos_ops.evidence.chain import INDEX, read_index
from chronos_ops.evidence.manifest import differences
from chronos_ops.evidence.signing import operator_key
from chronos_ops.model.archive import Archive
from chronos_ops.model.result import Result, Verdict
from chronos_ops.runner import execute
from tests.runner.probing import Cell, spec

AKIA = "AKIA" + "Q3EGRPLMSDXWZ7KF"
LEAK = "import sys\nprint('key ' + 'AKIA' + 'Q3EGRPLMSDXWZ7KF')"
SPLIT = "import sys\nsys.stdout.write('hunter2'); sys.stdout.flush()\nsys.stderr.write('secret')"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def run(folder: Path, cells: list[Cell], archive: Archive | None = None) -> tuple[Result, Path]:
    made = spec(folder, cells)
    made = replace(made, settings=made.settings.model_copy(update={"archive": archive}))
    result = execute(made)
    return result, folder / "outputs/probe" / result.run_id


def bad(runs: Path) -> list[str]:
    looked = verify_files(runs, fingerprint=operator_key().fingerprint)
    return [f"{f.id}: {f.observed}" for f in looked.findings if not f.good]


def test_a_run_is_sealed_where_an_archive_is_declared(tmp_path: Path) -> None:
    result, folder = run(tmp_path, [("look", "step", "run.step('look', good)")], Archive())
    assert result.verdict is Verdict.PASSED
    (entry,) = read_index(folder.parent / ARCHIVE).entries
    assert (entry.run, entry.verdict) == (result.run_id, "passed")
    assert bad(folder.parent) == []


def test_a_run_with_a_leak_fails_and_none_of_it_is_sent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cells: list[Cell] = [
        ("tell", "step", "run.step('tell', tells_secrets)"),
        ("leak", "", LEAK),
        ("split", "", SPLIT),
    ]
    result, folder = run(tmp_path, cells, Archive())
    assert (result.verdict, result.verdict.exit_status) == (Verdict.FAILED, 1)
    reasons = " ".join(result.reasons)
    assert "cell leak, output 1" in reasons
    assert "an AWS access key" in reasons
    assert "split over outputs" in reasons
    assert AKIA not in reasons + capfd.readouterr().err
    assert json.loads((folder / "result.json").read_text())["verdict"] == "failed"
    assert "FAILED" in (folder / "executed.html").read_text()
    assert differences(folder) == []  # its record here is whole
    (entry,) = read_index(folder.parent / ARCHIVE).entries
    assert (entry.kind, entry.verdict) == ("refused", "failed")
    assert bad(folder.parent) == []


def test_a_bucket_out_of_reach_loses_nothing_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("chronos_ops.runner.Progress.note", lambda self, text: said.append(text))
    result, folder = run(
        tmp_path, [("look", "step", "run.step('look', good)")], Archive(bucket="evidence-x")
    )
    assert result.verdict is Verdict.PASSED  # the endpoint is a closed port
    assert [entry.run for entry in pending(folder.parent)] == [result.run_id]
    assert any("archive: pending: 1 not in the bucket evidence-x" in text for text in said)
    assert bad(folder.parent) == []


def test_a_run_that_cannot_be_sealed_is_no_pass(tmp_path: Path) -> None:
    archive = tmp_path / "outputs/probe" / ARCHIVE
    archive.mkdir(parents=True)
    (archive / INDEX).write_text("not a line\n")
    result, folder = run(tmp_path, [("look", "step", "run.step('look', good)")], Archive())
    assert (result.verdict, result.verdict.exit_status) == (Verdict.UNKNOWN, 3)
    assert "not sealed in the archive" in result.reasons[0]
    assert differences(folder) == []


def test_without_a_declared_archive_nothing_is_signed(tmp_path: Path) -> None:
    result, folder = run(tmp_path, [("look", "step", "run.step('look', good)")])
    assert result.verdict is Verdict.PASSED
    assert not (folder.parent / ARCHIVE).exists()
    assert not (tmp_path / "state").exists()
