"""Runs as a target leaves them, and archives of them, for tests and benchmarks."""

from pathlib import Path

from chronos_ops.evidence.archive import Archive
from chronos_ops.evidence.folder import write_json, write_text
from chronos_ops.evidence.manifest import write_manifest
from chronos_ops.evidence.record import write_result
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.signing import operator_key
from chronos_ops.model.archive import Archive as Declared
from chronos_ops.model.result import Result, Verdict

LOCAL = Declared()


def make_run(target_folder: Path, number: int = 1, *, verdict: Verdict = Verdict.PASSED) -> Path:
    """A small ended run: `outputs/<target>/<run>`."""
    run = target_folder / f"20261122T{number:06d}Z-drill-{number:06x}"
    (run / "steps").mkdir(parents=True)
    write_text(run / "executed.ipynb", f'{{"cells": [], "number": {number}}}\n')
    write_text(run / "executed.html", f"<p>run {number}</p>\n")
    write_text(run / "journal.jsonl", '{"seq":1,"at":"2026-11-22T00:00:00.000000Z"}\n')
    write_json(run / "steps/look at.json", {"cell": "look", "number": number})
    result = Result(
        schema="chronos-ops/result/1",
        run_id=run.name,
        runbook="disaster_recovery",
        target=target_folder.name,
        scenario="instance_lost",
        verdict=verdict,
        started_at="2026-11-22T00:00:00.000000Z",
        ended_at="2026-11-22T00:02:00.000000Z",
    )
    write_result(run, result, Redactor())
    write_manifest(run)
    return run


def make_archive(target_folder: Path, state: Path, declared: Declared = LOCAL) -> Archive:
    """An archive with a key of its own in `state`."""
    return Archive(target_folder, declared, operator_key(state))
