"""The result of a run, from its folder. `passed` only on positive proof; else with reasons."""

import getpass
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chronos_ops.evidence.folder import PARAMETERS, read_json, write_json
from chronos_ops.evidence.journal import Event, intervals, read_journal, union_seconds
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.steps import VERDICT, StepRecord, VerdictRecord, read_steps
from chronos_ops.model.finding import WOULD_BE_REFUSED
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.timing import Achieved, Objectives, stamp, utc_now

RESULT = "result.json"
RECORDING_TAGS = {"setup", "step", "chart", "always", "verdict"}
_WORST_FIRST = (Verdict.ABORTED, Verdict.FAILED, Verdict.UNKNOWN, Verdict.DEVIATED)
Reason = tuple[Verdict, str]


@dataclass(frozen=True)
class CellProof:
    """What is known of one code cell: `error` is its exception's class, empty if none."""

    id: str
    tags: frozenset[str]
    executed: bool
    error: str = ""
    text: str = ""
    exit_status: int = 1


@dataclass(frozen=True)
class Ending:
    """How the run ended, as far as the folder does not tell."""

    aborted: str = ""  # "SIGTERM", "the kernel died"
    problems: tuple[str, ...] = ()  # of the runner itself: a full disk


def build_result(
    folder: Path, cells: Sequence[CellProof], ending: Ending = Ending(), *, final: bool = True
) -> Result:
    """Judge a run. `cells` are all code cells of its notebook, in order.

    `final=False`: asked from inside the notebook, before its verdict record is written.
    """
    start = read_json(folder / PARAMETERS) or {}
    parameters: dict[str, Any] = start.get("parameters") or {}
    steps = read_steps(folder)
    events = read_journal(folder)
    result = Result(
        schema="chronos-ops/result/1",
        run_id=str(start.get("run_id") or folder.name),
        runbook=str(start.get("runbook", "")),
        target=str(parameters.get("target") or folder.parent.name),
        scenario=_scenario(parameters),
        verdict=Verdict.UNKNOWN,
        started_at=str(start.get("started_at", "")),
        ended_at=stamp(utc_now()),
        evaluated_by=evaluated_by(),
        hardware=hardware(),
        objectives=_objectives(start, parameters),
        **_gathered(steps.values()),
    )
    result.measures["overhead"] = overhead(events)
    reasons = [*_broken(cells, steps, ending), *_unproven_teardown(events)]
    if parameters.get("plan"):
        reasons += [
            (Verdict.FAILED, f"would be refused: {f.title}: {f.observed}")
            for f in result.findings
            if f.id.endswith(WOULD_BE_REFUSED) and not f.good
        ]
        return _concluded(result, reasons, Verdict.PLANNED)
    if not any(verdict is not Verdict.DEVIATED for verdict, _ in reasons):
        reasons += _missing(cells, steps)
        if final:
            reasons += _own_verdict(folder, cells)
        reasons += _objective_reasons(result, "objective_recovery_time_seconds" in parameters)
    bad = [finding for finding in result.findings if not finding.good]
    reasons += [
        (Verdict.DEVIATED, f"check {f.id} is {f.status}: {f.observed} (expected {f.expected})")
        for f in bad
    ]
    return _concluded(result, reasons, Verdict.PASSED)


def _concluded(result: Result, reasons: list[Reason], otherwise: Verdict) -> Result:
    verdicts = {verdict for verdict, _ in reasons}
    verdict = next((v for v in _WORST_FIRST if v in verdicts), otherwise)
    texts = list(dict.fromkeys(text for _, text in reasons))
    return result.model_copy(update={"verdict": verdict, "reasons": texts})


# -- what was measured


def _objectives(start: dict[str, Any], parameters: dict[str, Any]) -> Objectives | None:
    declared = (start.get("settings") or {}).get("objectives")
    try:
        objectives = Objectives.model_validate(declared)
    except ValidationError:
        return None
    names = ("recovery_time_seconds", "recovery_point_seconds")
    own = {name: parameters.get(f"objective_{name}") for name in names}
    return objectives.model_copy(update={name: value for name, value in own.items() if value})


def _gathered(steps: Iterable[StepRecord]) -> dict[str, Any]:
    """Phases, findings, measures and achieved figures of all steps (later ones win)."""
    achieved: dict[str, Any] = {}
    gathered: dict[str, Any] = {"phases": [], "findings": [], "measures": {}}
    for step in steps:
        if step.outcome is None:
            continue
        gathered["phases"] += step.outcome.phases
        gathered["findings"] += step.outcome.findings
        gathered["measures"].update(step.outcome.measures)
        if step.outcome.achieved is not None:
            achieved.update(step.outcome.achieved.model_dump(exclude_none=True))
    both = (achieved.get("first_write_seconds"), achieved.get("verified_seconds"))
    if None not in both:  # the objective is held against the later (D6)
        achieved["recovery_time_seconds"] = max(
            seconds for seconds in (*both, achieved.get("recovery_time_seconds")) if seconds
        )
    gathered["achieved"] = Achieved.model_validate(achieved)
    return gathered


def overhead(events: list[Event]) -> dict[str, float]:
    """Seconds of the whole run, of its work elsewhere (remote, wait), and of the runbook itself."""
    runs = intervals(events, {"run"})
    wall = runs[-1][1] - runs[0][0] if runs else 0.0
    elsewhere = min(wall, union_seconds(events, {"remote", "wait"}))
    return {
        "wall_seconds": round(wall, 3),
        "remote_or_wait_seconds": round(elsewhere, 3),
        "own_seconds": round(wall - elsewhere, 3),
    }


# -- what was judged


def _broken(
    cells: Sequence[CellProof], steps: dict[str, StepRecord], ending: Ending
) -> list[Reason]:
    """What ended the run early, or broke its last cells."""
    reasons: list[Reason] = []
    if ending.aborted:
        reasons.append((Verdict.ABORTED, f"the run was ended from outside: {ending.aborted}"))
    reasons += [(Verdict.FAILED, problem) for problem in ending.problems]
    for cell in cells:
        error = steps[cell.id].error if cell.id in steps else None
        kind, text = cell.error, cell.text
        status = cell.exit_status
        if error is not None:
            kind, text, status = error.type, error.text, error.exit_status
        if not kind or ("verdict" in cell.tags and kind in ("Deviated", "NameError")):
            continue
        if ending.aborted and kind in ("KeyboardInterrupt", "NameError"):
            continue
        verdict = Verdict.UNKNOWN if status == 3 else Verdict.FAILED
        reasons.append((verdict, f"{cell.id}: {kind}: {text}".rstrip(": ")))
    return reasons


def _scenario(parameters: dict[str, Any]) -> str | None:
    """A recovery for real is no scenario of a drill, and counts as none (D9)."""
    return "recover" if parameters.get("mode") == "recover" else parameters.get("scenario")


def _unproven_teardown(events: Iterable[Event]) -> list[Reason]:
    left: dict[str, None] = {}
    for event in events:
        if event.event == "resource":
            left[event.name] = None
        elif event.event == "removed":
            left.pop(event.name, None)
        elif event.event == "kept":  # said before the deed: it is production from then on (D9)
            for name in event.data.get("resources", []):
                left.pop(name, None)
    return [(Verdict.FAILED, f"not proven to be removed: {name}") for name in left]


def _missing(cells: Sequence[CellProof], steps: dict[str, StepRecord]) -> list[Reason]:
    """Positive proof that is not there (failures 24, 27)."""
    reasons: list[Reason] = []
    for cell in cells:
        if not cell.executed:
            reasons.append((Verdict.UNKNOWN, f"{cell.id}: the cell was not executed"))
        elif cell.tags & RECORDING_TAGS:
            step = steps.get(cell.id)
            if step is None:
                reasons.append((Verdict.UNKNOWN, f"{cell.id}: the step left no record"))
            elif step.status != "ok":
                reasons.append((Verdict.UNKNOWN, f"{cell.id}: the step is {step.status}"))
    return reasons


def _own_verdict(folder: Path, cells: Sequence[CellProof]) -> list[Reason]:
    if not any("verdict" in cell.tags for cell in cells):
        return [(Verdict.UNKNOWN, "the runbook has no verdict cell")]
    try:
        own = VerdictRecord.model_validate(read_json(folder / VERDICT))
    except ValidationError:
        return [(Verdict.UNKNOWN, "the notebook left no verdict record")]
    if own.run_id != folder.name:
        return [(Verdict.UNKNOWN, f"verdict.json belongs to another run: {own.run_id}")]
    if own.verdict is Verdict.PASSED:
        return []
    return [(own.verdict, text) for text in own.reasons or ["the notebook's own verdict"]]


def _objective_reasons(result: Result, measured_by_this_runbook: bool) -> list[Reason]:
    """Missed objectives, and those that a drill should have measured and did not.

    A step states by `measures["not_measured"] = {"recovery_point_seconds": "why"}` that a figure
    has no meaning in its scenario.
    """
    if result.objectives is None:
        return [(Verdict.UNKNOWN, "no objectives")] if measured_by_this_runbook else []
    excused = result.measures.get("not_measured", {})
    reasons: list[Reason] = []
    for name, noun in (("recovery_time", "recovery time"), ("recovery_point", "recovery point")):
        key = f"{name}_seconds"
        objective = getattr(result.objectives, key)
        value = getattr(result.achieved, key)
        if value is None:
            if measured_by_this_runbook and key not in excused:
                reasons.append((Verdict.UNKNOWN, f"the achieved {noun} was not measured"))
        elif value >= objective:  # "< 1 h"
            text = f"achieved {noun} {value:.1f} s misses the objective of {objective:g} s"
            reasons.append((Verdict.DEVIATED, text))
    achieved = result.achieved
    if measured_by_this_runbook and "recovery_time_seconds" not in excused:
        for key in ("first_write_seconds", "verified_seconds"):
            if getattr(achieved, key) is None:
                reasons.append((Verdict.UNKNOWN, f"{key} was not measured"))
    return reasons


# -- who and on what (R8)


def evaluated_by() -> str:
    """user@machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def hardware() -> str:
    """The machine that ran the runbook: processor count and kind, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kind = platform.processor() or platform.machine()
    return (
        f"{os.cpu_count()} CPU {kind}, {memory:.0f} GiB, {platform.system()} {platform.release()}"
    )


def write_result(folder: Path, result: Result, redactor: Redactor, name: str = RESULT) -> Path:
    """Write result.json, redacted. Raises OSError."""
    path = folder / name
    write_json(path, redactor.data(result.model_dump(mode="json", by_alias=True)))
    return path


def read_result(folder: Path) -> Result | None:
    """result.json of a run's folder, or None where there is none that can be read."""
    try:
        return Result.model_validate(read_json(folder / RESULT))
    except ValidationError:
        return None
