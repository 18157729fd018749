"""The PITR matrix's chart: drawn from the result alone, and a wrong commit is seen."""

from chronos_ops.evidence.drawing import RED
from chronos_ops.evidence.report_pitr import matrix
from tests.evidence.test_report import drilled

GOOD = {"cell": "xid-inclusive", "before": [True, True], "after": [False], "status": "pass"}


def test_a_commit_on_the_wrong_side_is_red_and_counted() -> None:
    right = matrix(drilled(measures={"pitr_cells": [GOOD]}))
    assert "1 of 1 targets reached exactly" in right
    assert RED not in right
    wrong = GOOD | {"after": [True], "status": "fail"}
    broken = {"cell": "name", "status": "error"}
    drawn = matrix(drilled(measures={"pitr_cells": [GOOD, wrong, broken]}))
    assert "1 of 3 targets reached exactly" in drawn
    assert RED in drawn


def test_other_scenarios_have_no_matrix() -> None:
    assert "No matrix of recovery targets" in matrix(drilled(measures={}))
