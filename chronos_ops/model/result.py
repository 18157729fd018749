"""The machine-readable record of a run: result.json."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chronos_ops.model.finding import Finding
from chronos_ops.model.timing import Achieved, Objectives, Phase

SCHEMA = "chronos-ops/result/1"


class Verdict(StrEnum):
    """How a run ended."""

    PASSED = "passed"
    DEVIATED = "deviated"  # everything ran; an objective was missed or a check failed
    FAILED = "failed"  # a step broke
    ABORTED = "aborted"  # ended from outside
    UNKNOWN = "unknown"  # no positive proof of anything
    PLANNED = "planned"  # dry run

    @property
    def exit_status(self) -> int:
        match self:
            case Verdict.PASSED | Verdict.PLANNED:
                return 0
            case Verdict.DEVIATED | Verdict.FAILED:
                return 1
            case _:
                return 3


class Result(BaseModel):
    """Everything a run measured and judged (durations in seconds, stamps in UTC)."""

    model_config = ConfigDict(extra="forbid")

    schema_: str = Field(SCHEMA, alias="schema")
    run_id: str
    runbook: str
    target: str
    scenario: str | None = None
    verdict: Verdict
    reasons: list[str] = Field(default_factory=list)  # why the verdict is not `passed`
    started_at: str
    ended_at: str
    evaluated_by: str = ""  # who (user@machine) and on what hardware (R8)
    hardware: str = ""
    objectives: Objectives | None = None
    achieved: Achieved = Achieved()
    phases: list[Phase] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    measures: dict[str, Any] = Field(default_factory=dict)  # what charts are drawn from
