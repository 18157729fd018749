"""Not known is never passed."""

import pytest
from pydantic import ValidationError

from chronos_ops.model.finding import Finding, Status, judge


@pytest.mark.parametrize(
    ("status", "good"),
    [
        (Status.PASS, True),
        (Status.NOT_APPLICABLE, True),
        (Status.FAIL, False),
        (Status.ERROR, False),
        (Status.UNKNOWN, False),
    ],
)
def test_only_positive_proof_is_good(status: Status, good: bool) -> None:
    finding = Finding(id="a.b", status=status, title="t", observed="1", expected="1")
    assert finding.good is good


def test_every_status_is_judged_above() -> None:
    assert len(Status) == 5


@pytest.mark.parametrize(
    ("passed", "status"), [(True, Status.PASS), (False, Status.FAIL), (None, Status.UNKNOWN)]
)
def test_judging(passed: bool | None, status: Status) -> None:
    finding = judge("disk.used", "disk", passed=passed, observed=81, expected="< 80", hint="grow")
    assert finding.status is status
    assert (finding.observed, finding.expected) == ("81", "< 80")
    assert finding.hint == ("" if passed else "grow")


def test_a_finding_is_frozen_and_strict() -> None:
    finding = judge("a.b", "t", passed=True, observed=1, expected=1)
    with pytest.raises(ValidationError, match="frozen"):
        finding.status = Status.FAIL  # type: ignore[misc]
    with pytest.raises(ValidationError, match="extra"):
        Finding.model_validate({**finding.model_dump(), "severity": "high"})
