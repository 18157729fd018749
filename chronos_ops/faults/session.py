"""The steps of the fault catalogue: `run.step("faults", run.faults.strike_all)` and others.

Every fault gets a fresh lab: disks and AWS as they were when the backup runbook had just set it up.
That set-up judges what the faults will break, so it is a control run too. Where a fault can be
undone, the same run must be green again afterwards.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.faults.fault import BACKUP, CHECK_ONLY, DRILL, Fault, choose
from chronos_ops.faults.inner import Inner, run_inner
from chronos_ops.faults.judging import (
    Control,
    Tried,
    control_of,
    judge_controls,
    judge_fault,
    measures,
    not_tried,
    why_not,
)
from chronos_ops.faults.laboratory import Lab, clear
from chronos_ops.faults.site import Site
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters.fault_catalogue import FaultCatalogue
from chronos_ops.model.settings import load_settings
from chronos_ops.model.timing import utc_now

_SET_UP = MappingProxyType({"allow_restart": "true", "pitr_test": "false"})
_CONTROL: Mapping[str, Mapping[str, str]] = {BACKUP: CHECK_ONLY, DRILL: {}}


@dataclass
class Trial:
    """What became of one fault."""

    tried: Tried
    finding: Finding
    controls: list[Control] = field(default_factory=list)


class Faults:
    """`run.faults`. The control lab stays up from the first control run to the last."""

    def __init__(self) -> None:
        self._lab = Lab(0, self._set_up)
        self._controls: list[Control] = []
        self._tried: list[Tried] = []

    def clear_leftovers(self, context: Context) -> Outcome:
        """Remove labs that a killed run of faults left; refuse unknown faults."""
        chosen = _chosen(context)
        gone = clear(context.folder / "logs" / "leftovers.log", own=False)
        return Outcome(
            summary=f"{len(chosen)} faults; {len(gone)} labs of killed runs were removed.",
            table=[
                {"fault": f.id, "failure": f.number, "what": f.what, "named by": f.finding}
                for f in chosen
            ],
        )

    def control_before(self, context: Context) -> Outcome:
        """Every detecting runbook without a fault, on a lab of its own: it must be green."""
        kept = context.folder / "faults" / "control"
        context.say("setting the control lab up")
        self._lab.fresh(kept)
        controls: list[Control] = []
        for number in range(1, _parameters(context).controls + 1):
            controls += self._control(context, f"before-{number}")
        return self._told("before-the-faults", controls)

    def strike_all(self, context: Context) -> Outcome:
        """Each fault on a fresh lab: is it named, with its mend? Then undone, and green again?"""
        if not self._controls or any(c.alarms for c in self._controls):
            raise ChronosError(
                "without a green control run nothing can be concluded",
                hint="mend what faults.control.before-the-faults names",
            )
        chosen, before = _chosen(context), len(self._controls)
        labs = [Lab(number + 1, self._set_up) for number in range(_parameters(context).jobs)]
        trials = _in_parallel(context, chosen, labs)
        self._controls += [control for trial in trials for control in trial.controls]
        self._tried = [trial.tried for trial in trials]
        found = measures(self._tried, self._controls)
        score = found["score"]
        return Outcome(
            summary=f"**{score['detected']} of {score['total']}** faults were named by their "
            f"finding; {score['false_alarms']} false alarms in {score['controls']} runs without a "
            "fault.",
            table=[
                {
                    "fault": t.tried.fault,
                    "failure": t.tried.number,
                    "detected": "yes" if t.tried.detected else "NO",
                    "after (s)": t.tried.seconds,
                    "exit status": t.tried.exit_status,
                    "named by": t.tried.finding,
                }
                for t in trials
            ],
            findings=[
                *(trial.finding for trial in trials),
                judge_controls("beside-the-faults", self._controls[before:]),
            ],
            measures=found,
        )

    def control_after(self, context: Context) -> Outcome:
        """The same control runs once more, on the lab that nothing has struck."""
        return self._told("after-the-faults", self._control(context, "after"))

    def end(self, context: Context) -> Outcome:
        """Remove every lab of this run."""
        gone = clear(context.folder / "logs" / "leftovers.log", own=True)
        return Outcome(summary=f"{len(gone)} labs were removed, none is left.")

    def _set_up(self, lab: str, logs: Path) -> None:
        """The backup runbook on a bare lab. Raises ChronosError where that raises an alarm."""
        done = control_of(f"set-up of {lab}", run_inner(BACKUP, lab, _SET_UP, logs / "set-up"))
        self._controls.append(done)
        if done.alarms:
            raise ChronosError("the fresh lab is not green", "; ".join(done.alarms))

    def _control(self, context: Context, when: str) -> list[Control]:
        found = []
        for runbook in sorted({fault.runbook for fault in _chosen(context)}):
            context.say(f"control run {when}: {runbook}")
            kept = context.folder / "faults" / "control" / f"{runbook}-{when}"
            inner = _run(context, runbook, self._lab.name, _CONTROL.get(runbook, {}), kept)
            found.append(control_of(f"{runbook}, {when}", inner))
        return found

    def _told(self, when: str, controls: Sequence[Control]) -> Outcome:
        self._controls += controls
        return Outcome(
            summary=f"{len(controls)} runs without a fault, "
            f"{sum(bool(c.alarms) for c in controls)} with an alarm.",
            table=[{"run": c.run, "what": c.name, "exit status": c.exit_status} for c in controls],
            findings=[judge_controls(when, controls)],
            measures=measures(self._tried, self._controls) if self._tried else {},
        )


def _parameters(context: Context) -> FaultCatalogue:
    assert isinstance(context.parameters, FaultCatalogue)
    return context.parameters


def _chosen(context: Context) -> list[Fault]:
    names = [name.strip() for name in _parameters(context).only.split(",")]
    return choose([name for name in names if name])


def _in_parallel(context: Context, chosen: Sequence[Fault], labs: Sequence[Lab]) -> list[Trial]:
    trials: dict[str, Trial] = {}
    idle: SimpleQueue[Lab] = SimpleQueue()
    for lab in labs:
        idle.put(lab)
    with ThreadPoolExecutor(len(labs)) as pool:
        running: dict[Future[Trial], Fault] = {
            pool.submit(_try, context, idle, fault): fault for fault in chosen
        }
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    trial = future.result()
                    trials[running.pop(future).id] = trial
                    word = "named" if trial.tried.detected else "NOT named"
                    context.say(f"{len(trials)} of {len(chosen)}: {trial.tried.fault} {word}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [trials[fault.id] for fault in chosen]


def _try(context: Context, idle: "SimpleQueue[Lab]", fault: Fault) -> Trial:
    """A fresh lab, the strike, the run that must name it, the undo, the same run again."""
    kept = context.folder / "faults" / fault.id
    controls: list[Control] = []
    lab = idle.get()
    try:
        lab.fresh(kept)
        inner, seconds = _strike(context, fault, lab.name, kept, controls)
    except ChronosError as error:
        row = Tried(
            fault.id, fault.number, False, None, None, fault.finding, "", error.text()[:600]
        )
        return Trial(row, not_tried(fault, error), controls)
    finally:
        idle.put(lab)
    row = Tried(
        fault=fault.id,
        number=fault.number,
        detected=not why_not(fault, inner),
        seconds=seconds,
        exit_status=inner.exit_status,
        finding=fault.finding,
        run=inner.result.run_id if inner.result else "",
    )
    return Trial(row, judge_fault(fault, inner), controls)


def _strike(
    context: Context, fault: Fault, lab: str, kept: Path, controls: list[Control]
) -> tuple[Inner, float | None]:
    """The run that must name it, and the seconds from the strike to the finding."""
    struck: list[float] = []
    site = _site(context, lab, kept)

    def strike(folder: Path | None, processes: Sequence[int]) -> None:
        site.run_folder, site.processes = folder, processes
        with context.journal.interval("deed", f"strike {fault.id}", lab=lab):
            fault.inject(site)
        struck.append(utc_now().timestamp())

    try:
        site.wait_until_settled()
        inside = bool(fault.strike_after)
        if not inside:
            strike(None, ())
        with context.journal.interval("wait", f"{fault.runbook} on {lab}"):
            inner = run_inner(
                fault.runbook,
                lab,
                fault.asked(site),
                kept,
                fault.strike_after,
                strike if inside else None,
            )
        if fault.is_looked_at_again:
            with context.journal.interval("deed", f"undo {fault.id}", lab=lab):
                fault.undo(site)
                site.repeat_failed_jobs()
            again = _run(context, fault.runbook, lab, CHECK_ONLY, kept / "undone")
            controls.append(control_of(f"after the undo of {fault.id}", again))
    finally:
        site.context.close()
    named = inner.seconds_to(fault.finding, struck[0])
    return inner, None if named is None else round(named, 1)


def _site(context: Context, lab: str, kept: Path) -> Site:
    settings = load_settings(lab)
    aws = Aws(settings.aws, context.journal)
    ssh = Ssh(declared_host(settings, aws), context.journal)
    return Site(
        Context(context.run_id, kept, settings, context.parameters, context.journal, aws, ssh)
    )


def _run(
    context: Context, runbook: str, lab: str, parameters: Mapping[str, str], kept: Path
) -> Inner:
    with context.journal.interval("wait", f"{runbook} on {lab}"):
        return run_inner(runbook, lab, parameters, kept)
