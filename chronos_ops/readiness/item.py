"""An item of the production readiness: data (R8)."""

from dataclasses import dataclass

from chronos_ops.model.stage import Stage
from chronos_ops.preflight.looking import Look


@dataclass(frozen=True)
class Evidence:
    """A sealed run that is wanted: its runbook, what it found, what it left."""

    runbook: str
    findings: tuple[str, ...]  # ids, or how they begin: each must be found, and all be good
    files: tuple[str, ...] = ()  # in the run's folder


@dataclass(frozen=True)
class Item:
    """Ready only if all stages are as declared, all looks pass, and all evidence is there."""

    id: str
    title: str
    requirements: tuple[str, ...]
    stages: tuple[Stage, ...]
    looks: tuple[Look, ...]
    evidence: tuple[Evidence, ...]
    mend: str  # which runbook brings it about
    longest_days: int | None = None  # age of its evidence; None: the run's parameter
