"""The PITR matrix on real hosts, in part: zones, a late commit, one id on two timelines."""

import json
import re
from pathlib import Path

import pytest

from chronos_ops import runner
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.evidence.report_pitr import matrix
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.finding import Status
from chronos_ops.model.result import Verdict
from chronos_ops.model.settings import load_settings
from tests.lab.drilling import RUNBOOK, drill_context, left_of

pytestmark = pytest.mark.lab
CELLS = ("time-exclusive-zone", "xid-inclusive-late", "xid-inclusive-timeline-2")


def test_targets_are_reached_exactly(lab: LabStatus, tmp_path: Path) -> None:
    context = drill_context(load_settings(lab.name), tmp_path)
    given = {"scenario": "pitr_matrix", "sample_megabytes": "1", "pitr_cells": ",".join(CELLS)}
    result = runner.run(RUNBOOK, lab.name, given, approve=lab.name)
    try:
        assert result.verdict is Verdict.PASSED, result.reasons
        found = {finding.id: finding for finding in result.findings}
        for name in ("zones", "commit-times", *CELLS):
            assert found[f"drill.pitr.{name}"].status is Status.PASS
        assert [row["cell"] for row in result.measures["pitr_cells"]] == list(CELLS)
        assert "3 of 3 targets reached exactly" in matrix(result)
        # held against the record and the server's words once more, by this test
        logs = outputs_dir() / result.target / result.run_id / "logs"
        lines = map(json.loads, (logs / "acknowledged_commits.jsonl").read_text().splitlines())
        seqs = {}  # an id of both timelines: the later one, of timeline 2
        for line in lines:
            seqs[line.get("xid")] = line.get("seq")
        log = (logs / "pitr" / "xid-inclusive-timeline-2.log").read_text()
        stopped = re.findall(r"recovery stopping after commit of transaction (\d+)", log)
        observed = found["drill.pitr.xid-inclusive-timeline-2"].observed
        assert f"-{seqs[stopped[-1]]};" in observed
        assert left_of(context, result.run_id) == {}
    finally:
        context.close()
