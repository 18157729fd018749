"""What one step of a runbook did, measured and judged; the cell shows it, the record keeps it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chronos_ops.model.finding import Finding
from chronos_ops.model.timing import Achieved, Phase


class Outcome(BaseModel):
    """The result of a step. Rows of `table` share their keys; `measures` is what charts need."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str  # one or two sentences of Markdown: what happened, with figures
    table: list[dict[str, Any]] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    phases: list[Phase] = Field(default_factory=list)
    achieved: Achieved | None = None
    measures: dict[str, Any] = Field(default_factory=dict)  # merged into the result's measures
    text: str = ""  # preformatted: a diff, a configuration file, the tail of a log
