"""What the backup runbook's own checks make of what they saw."""

import pytest

from chronos_ops.drill.backup_checks import judge_recovery_time
from chronos_ops.drill.host_checks import judge_tls
from chronos_ops.model.finding import Status
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.timing import Phase

HOST = Phase(name="provision", started_at="2026-11-22T21:00:00.000000Z", seconds=100.0)


def proof(seconds: float | None, *phases: Phase) -> Outcome:
    return Outcome(summary="", phases=list(phases), measures={"pitr_seconds": seconds})


def test_the_recovery_time_holds_the_scratch_host_that_was_made_earlier() -> None:
    kept = judge_recovery_time(proof(123.0, HOST), "8 MiB", 3600)
    assert kept.status is Status.PASS
    assert "100 s for the scratch host and 23 s" in kept.observed
    assert judge_recovery_time(proof(123.0, HOST), "8 MiB", 120).status is Status.FAIL


def test_a_recovery_time_that_was_not_measured_is_not_known() -> None:
    for outcome in (proof(None, HOST), proof(23.0), Outcome(summary="")):
        assert judge_recovery_time(outcome, "8 MiB", 3600).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("encrypted", "version", "status"),
    [
        (True, "TLSv1.3", Status.PASS),
        (True, "TLSv1.2", Status.PASS),
        (True, "TLSv1.1", Status.FAIL),
        (True, "TLSv1", Status.FAIL),
        (True, "SSLv3", Status.FAIL),
        (True, "None", Status.FAIL),
        (False, "TLSv1.3", Status.FAIL),
        (False, "no pg_hba.conf entry", Status.FAIL),
    ],
)
def test_an_old_tls_is_not_enough(encrypted: bool, version: str, status: Status) -> None:
    assert judge_tls(encrypted=encrypted, version=version).status is status
