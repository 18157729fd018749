"""The whole sequence of a scenario again and again: how recovery time and point are spread (D6).

Each pass has hosts, stanza, users and secrets of its own (they carry its number), journalled
before they are made like those of the first. What a pass made is removed before the next begins.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from chronos_ops.drill.accounting import earlier_points
from chronos_ops.drill.scenario import Scenario
from chronos_ops.drill.state import Drill
from chronos_ops.drill.synthetic import objectives, parameters
from chronos_ops.evidence.steps import read_steps
from chronos_ops.execution.context import Context
from chronos_ops.execution.rollback import rollback
from chronos_ops.model.distribution import Pass, judge_passes, measured, quantiles, table
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.forecast import restored
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import parse_target
from chronos_ops.model.timing import utc_now

RATES = (1.0, 0.0)  # commits a second of the second pass, of the third, and so on in turn
_STEPS = (
    "provision_primary",
    "set_up_backups",
    "start_writer",
    "baseline_backup",
    "inject_fault",
    "detect",
    "provision_drill_host",
    "restore_preflight",
    "restore",
    "recover",
    "first_write",
    "verify",
    "account",
    "bring_back",
)
Anew = Callable[[Context], Drill]  # removes what the last pass made; raises ChronosError


def remove_all(context: Context) -> None:
    """All that the run has made up to now goes. Raises ChronosError if something stays."""
    for ssh in context.opened.values():
        ssh.close()
    context.opened.clear()
    rollback(context.folder, context.journal)


def repeats(context: Context, scenario: Scenario, anew: Anew) -> Outcome:
    """Passes 2 to `repeat`, and the judgement of all of them by the worst."""
    wanted = parameters(context)
    own = [step.outcome for step in read_steps(context.folder).values() if step.outcome]
    passes = [as_pass(1, scenario, own, wanted.commits_per_second)]
    restores: list[dict[str, Any]] = []
    for number in range(2, wanted.repeat + 1):
        rate = RATES[number % len(RATES)]
        done: list[Outcome] = []
        failed = _one_pass(context, scenario, anew, number, rate, done)
        passes.append(as_pass(number, scenario, done, rate, failed))
        restores += restored_by(done, f"p{number}")
        context.journal.note("pass", **passes[-1].data())
    return _outcome(context, scenario, passes, restores)


def _one_pass(
    context: Context, scenario: Scenario, anew: Anew, number: int, rate: float, done: list[Outcome]
) -> str:
    """One more pass; its outcomes go to `done` as they come. Words of what broke it, or none."""
    wanted = parameters(context).model_copy(update={"commits_per_second": rate})
    step = "removal of the pass before"

    def say(line: str) -> None:
        context.say(f"pass {number}, {step}: {line}")

    own = replace(context, part=f"p{number}", parameters=wanted, say=say)
    try:
        drill = anew(context)
        step = "check_target"
        asked = parse_target(wanted.recovery_target, utc_now())
        scenario.check_target(own, drill, asked)
        for step in _STEPS:
            say("")
            done.append(getattr(scenario, step)(own, drill))
    except (ChronosError, OSError) as error:
        return f"{step}: {in_short(error)}"
    return ""


def in_short(error: Exception) -> str:
    """One line of it; the journal has the rest."""
    return f"{type(error).__name__}: {' '.join(str(error).splitlines()[:1])}"


def as_pass(
    number: int, scenario: Scenario, done: Sequence[Outcome], rate: float, failed: str = ""
) -> Pass:
    """What the steps of one pass have measured and judged."""
    seen: dict[str, Any] = {}
    for outcome in done:
        seen |= outcome.measures
    figures = next((o.achieved for o in reversed(done) if o.achieved is not None), None)
    findings = [finding for outcome in done for finding in outcome.findings]
    return Pass(
        number=number,
        rate=rate,
        offset_seconds=seen.get("fault_offset_seconds"),
        recovery_time_seconds=figures.recovery_time_seconds if figures else None,
        recovery_point_seconds=figures.recovery_point_seconds if figures else None,
        bound_seconds=None if scenario.point_in_time else seen.get("recovery_point_bound_seconds"),
        lost=figures.lost_commits if figures else None,
        promised=seen.get("promised_commits"),
        push_seconds=seen.get("push_seconds"),
        checks=len(findings),
        bad=tuple(finding.id for finding in findings if not finding.good),
        failed=failed,
        not_measured=tuple(seen.get("not_measured", ())),
    )


def restored_by(done: Iterable[Outcome], part: str) -> list[dict[str, Any]]:
    """The restore of a pass for the forecast: none, or one."""
    outcomes = list(done)
    phases = [phase for outcome in outcomes for phase in outcome.phases]
    seen: dict[str, Any] = {}
    for outcome in outcomes:
        seen |= outcome.measures
    found = restored(phases, seen, part)
    return [found.data()] if found else []


def _outcome(
    context: Context, scenario: Scenario, passes: list[Pass], restores: list[dict[str, Any]]
) -> Outcome:
    wanted = parameters(context).repeat
    points = measured(passes, "recovery_point_seconds")
    times = measured(passes, "recovery_time_seconds")
    earlier = earlier_points(context, scenario.id)
    spread = {"recovery_time": quantiles(times), "recovery_point": quantiles(points)}
    given = parameters(context).fault_offset_seconds >= 0
    said = [
        "One pass: an anecdote, no distribution (`repeat`)."
        if wanted == 1
        else f"{len(passes)} passes. Of n={len(times)} values p95 is the nearest rank"
        + (": the worst itself, below 20 values." if len(times) < 20 else "."),
        f"{len(earlier)} earlier drills of this scenario had recovery points up to "
        f"{max(earlier):.1f} s."
        if earlier
        else "There is no earlier drill of this scenario.",
    ]
    if given and wanted > 1:
        said.append("The offset was given (`fault_offset_seconds`), not drawn: this says nothing "
                    "of other moments of the window.")  # fmt: skip
    return Outcome(
        summary=" ".join(said),
        table=table(passes),
        findings=judge_passes(passes, wanted, objectives(context)) if wanted > 1 else [],
        measures={
            "passes": [one.data() for one in passes],
            "distribution": {**spread, "n": len(passes), "offset_given": given},
            "earlier_recovery_points": earlier,
            "restores": restores,
        },
    )
