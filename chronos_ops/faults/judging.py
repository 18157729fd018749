"""Was the fault named, and was nothing named without one? Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from chronos_ops.faults.fault import Fault
from chronos_ops.faults.inner import Inner
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status, judge

_BAD_ENDS = (1, 3)


@dataclass(frozen=True)
class Tried:
    """One fault, tried: a row of the score."""

    fault: str
    number: int
    detected: bool
    seconds: float | None  # from the strike to the finding
    exit_status: int | None
    finding: str
    run: str
    error: str = ""  # why it could not be tried


@dataclass(frozen=True)
class Control:
    """One run without a fault. `alarms`: what it called bad, or why it did not pass."""

    name: str
    run: str
    exit_status: int
    alarms: tuple[str, ...]


def why_not(fault: Fault, inner: Inner) -> str:
    """Why the fault counts as not detected; empty if it was named, with a mend."""
    named = inner.finding(fault.finding)
    if inner.exit_status not in _BAD_ENDS:
        return f"the run ended with exit status {inner.exit_status}"
    if named is None:
        return f"the run has no finding {fault.finding}"
    if named.good:
        return f"{named.id} is {named.status}: {named.observed}"
    return "" if named.hint else f"{named.id} is {named.status} and hints no mend"


def judge_fault(fault: Fault, inner: Inner) -> Finding:
    """The named finding is bad, with a hint, and the exit status says so."""
    missed, named = why_not(fault, inner), inner.finding(fault.finding)
    told = f"exit status {inner.exit_status}; {named.observed} → {named.hint}" if named else ""
    return judge(
        f"faults.{fault.id}",
        f"{fault.title}: detected",
        passed=not missed,
        observed=missed or told,
        expected=f"{fault.finding} is bad and says how to mend it; exit status 1 or 3",
        hint=f"a hole in {fault.runbook}: its findings lie in faults/{fault.id}/result.json of "
        "this run; mend the check that should have seen it",
        requirement="B9",
    )


def not_tried(fault: Fault, error: ChronosError) -> Finding:
    """What could not be tried was not detected."""
    return Finding(
        id=f"faults.{fault.id}",
        status=Status.ERROR,
        title=f"{fault.title}: detected",
        observed=error.text()[:600],
        expected="the fault strikes and is named",
        hint=error.hint or f"the logs lie in faults/{fault.id}/ of this run",
        requirement="B9",
    )


def control_of(name: str, inner: Inner) -> Control:
    """What a run without a fault called bad."""
    result = inner.result
    bad = [f"{f.id}: {f.observed}" for f in result.findings if not f.good] if result else []
    if inner.exit_status and not bad:
        reasons = result.reasons[:3] if result else ["it left no result"]
        bad = [f"exit status {inner.exit_status}: {'; '.join(reasons)}"]
    return Control(name, result.run_id if result else "", inner.exit_status, tuple(bad))


def judge_controls(when: str, controls: Sequence[Control]) -> Finding:
    """A run without a fault stays green: an alarm without a fire is a fault of the check."""
    alarms = [f"{c.name} ({c.run}): {alarm}" for c in controls for alarm in c.alarms]
    return judge(
        f"faults.control.{when}",
        f"No alarm without a fault: {when.replace('-', ' ')}",
        passed=not alarms if controls else None,
        observed="; ".join(alarms[:5]) or f"{len(controls)} control runs, all green",
        expected="every run without a fault passes",
        hint="what it names is either real (mend the lab) or a false alarm (mend the check): a "
        "score means nothing while it lasts",
        requirement="B9",
    )


def measures(tried: Sequence[Tried], controls: Sequence[Control]) -> dict[str, Any]:
    """For the chart, the line in the README and whoever asks later."""
    seconds = [t.seconds for t in tried if t.detected and t.seconds is not None]
    return {
        "faults": [asdict(t) for t in tried],
        "controls": [asdict(c) for c in controls],
        "score": {
            "detected": sum(t.detected for t in tried),
            "total": len(tried),
            "controls": len(controls),
            "false_alarms": sum(bool(c.alarms) for c in controls),
            "seconds_median": round(median(seconds), 1) if seconds else None,
            "seconds_worst": round(max(seconds), 1) if seconds else None,
        },
    }
