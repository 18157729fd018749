"""result.json: what it holds at least, and what a verdict means to a shell."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from chronos_ops.model.result import SCHEMA, Result, Verdict
from chronos_ops.model.timing import Achieved, stamp, utc_now


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        ("passed", 0),
        ("planned", 0),
        ("deviated", 1),
        ("failed", 1),
        ("aborted", 3),
        ("unknown", 3),
    ],
)
def test_exit_statuses(verdict: str, status: int) -> None:
    assert Verdict(verdict).exit_status == status


def test_every_verdict_is_judged_above() -> None:
    assert len(Verdict) == 6


def result() -> Result:
    return Result(
        schema=SCHEMA,
        run_id="r1",
        runbook="disaster_recovery",
        target="lab",
        verdict=Verdict.UNKNOWN,
        started_at=stamp(utc_now()),
        ended_at=stamp(utc_now()),
    )


def test_the_written_record_has_the_promised_keys() -> None:
    written = json.loads(result().model_dump_json(by_alias=True))
    assert written["schema"] == "chronos-ops/result/1"
    assert {
        "run_id",
        "runbook",
        "target",
        "scenario",
        "verdict",
        "started_at",
        "ended_at",
        "objectives",
        "achieved",
        "phases",
        "findings",
    } <= written.keys()
    assert {"recovery_time_seconds", "recovery_point_seconds", "lost_commits"} <= written[
        "achieved"
    ].keys()


def test_it_comes_back_as_it_was_written() -> None:
    first = result()
    assert Result.model_validate_json(first.model_dump_json(by_alias=True)) == first


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Result.model_validate({**result().model_dump(by_alias=True), "rto": 3})


def test_what_was_not_measured_is_not_zero() -> None:
    assert Achieved().lost_commits is None
    assert Achieved().recovery_time_seconds is None


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2025, 3, 30, 1, 30, tzinfo=UTC), "2025-03-30T01:30:00.000000Z"),
        (
            datetime(2025, 3, 30, 3, 30, 0, 5, tzinfo=timezone(timedelta(hours=2))),
            "2025-03-30T01:30:00.000005Z",
        ),
    ],
)
def test_stamps_are_utc(moment: datetime, text: str) -> None:
    assert stamp(moment) == text
