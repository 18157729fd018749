"""`steps/<cell-id>.json`: what each cell did. The cell displays exactly this record."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chronos_ops.evidence.folder import read_json, write_json
from chronos_ops.evidence.redact import Redactor
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.result import Verdict

STEP_MIME = "application/vnd.chronos+json"
VERDICT = "verdict.json"

StepKind = Literal["setup", "stage", "step", "confirm", "chart", "teardown", "verdict"]
StepStatus = Literal["ok", "error", "interrupted", "would_run", "running"]


class StepError(BaseModel):
    """Why a step broke; `exit_status` as in `model.errors`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    text: str
    exit_status: int = 1

    @classmethod
    def of(cls, error: BaseException) -> Self:
        status = error.exit_status if isinstance(error, ChronosError) else 1
        return cls(type=type(error).__name__, text=str(error), exit_status=status)


class StepRecord(BaseModel):
    """One cell's work, measured and judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: str = Field("chronos-ops/step/1", alias="schema")
    cell: str
    kind: StepKind
    status: StepStatus
    started_at: str
    seconds: float
    outcome: Outcome | None = None
    error: StepError | None = None
    files: dict[str, str] = Field(default_factory=dict)  # written by it: path -> sha256


class VerdictRecord(BaseModel):
    """`verdict.json`: what the notebook itself concluded. Without it no run has passed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    verdict: Verdict
    reasons: list[str] = Field(default_factory=list)


def write_step(folder: Path, record: StepRecord, redactor: Redactor) -> StepRecord:
    """Write a step's record, redacted; returns what was written, for display."""
    data = redactor.data(record.model_dump(mode="json", by_alias=True))
    write_json(folder / "steps" / f"{record.cell}.json", data)
    return StepRecord.model_validate(data)


def read_steps(folder: Path) -> dict[str, StepRecord]:
    """Records by cell id, in the order in which they began; unreadable ones are left out."""
    found: list[StepRecord] = []
    for path in (folder / "steps").glob("*.json"):
        try:
            found.append(StepRecord.model_validate(read_json(path)))
        except ValidationError:
            continue
    return {record.cell: record for record in sorted(found, key=lambda r: (r.started_at, r.cell))}
