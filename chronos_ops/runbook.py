"""What a notebook holds: the run. Every cell is one call to it (R1).

    run = Runbook.open("disaster_recovery", globals())   # the setup cell
    run.stage("s3-bucket", backup.BUCKET)                # ask, plan, show, agree, apply, ask again
    run.step("detect", run.drill.detect)                 # function(context) -> Outcome
    run.chart("waterfall", report.waterfall)             # function(result) -> SVG
    run.teardown()                                       # tag `always`
    run.verdict()                                        # tag `verdict`, the last cell

The first argument is the cell's id: the step's name in the journal, and its record's file.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from chronos_ops.drill.stamp import leave_stamp
from chronos_ops.evidence.archiving import archive_sealed
from chronos_ops.evidence.cells import code_cells
from chronos_ops.evidence.display import verdict_html
from chronos_ops.evidence.folder import (
    NOTEBOOK_VARIABLE,
    RUN_DIR_VARIABLE,
    make_folder,
    new_run_id,
    notebooks_dir,
    outputs_dir,
    target_lock,
    write_json,
    write_text,
)
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.manifest import seal_record
from chronos_ops.evidence.record import (
    RECORDING_TAGS,
    CellProof,
    Ending,
    build_result,
)
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.steps import (
    VERDICT,
    StepError,
    StepKind,
    StepRecord,
    StepStatus,
    VerdictRecord,
    write_step,
)
from chronos_ops.execution.context import Context
from chronos_ops.execution.rollback import pending_resources, rollback
from chronos_ops.model.errors import ChronosError, Deviated, Refused
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters.common import RunbookParameters
from chronos_ops.model.plan import Plan
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.model.timing import stamp, utc_now
from chronos_ops.runbook_opening import (
    Reached,
    check_environment,
    notebook_parameters,
    opening,
    reach,
    run_settings,
    try_to_reach,
)
from chronos_ops.runbook_output import Display, interactive, read_line, redact_outputs
from chronos_ops.runbook_rooms import Rooms
from chronos_ops.runbook_stage import (
    carry_out,
    could_not_look,
    ended_by,
    judge_declared,
    known_after_apply,
    make_plan,
    show,
)

Step = Callable[[Context], Outcome]
_STEPPED = "executed.ipynb, executed.html: none; stepped through in JupyterLab, which keeps them"
_current: list["Runbook"] = []  # the kernel's unfinished run, if any


class Runbook(Rooms):
    """One run of a runbook. Made by `Runbook.open`."""

    def __init__(
        self, name: str, context: Context, redactor: Redactor, cells: list[CellProof]
    ) -> None:
        self.name = name
        self.context = context
        self._redactor = redactor
        self._cells = cells
        self._held = ExitStack()  # interactively: the target's lock, the run's interval
        self._interactive = False
        self._ending = Ending()
        self._pending = False  # dry run: an earlier stage has changes that were not made

    # -- opening

    @classmethod
    def open(cls, name: str, namespace: Mapping[str, Any]) -> "Runbook":
        """Check everything, then start the record. Raises UsageError or Refused (exit 2)."""
        while _current:
            _current.pop().abandon()
        started = time.monotonic(), stamp(utc_now())
        folder = Path(given) if (given := os.environ.get(RUN_DIR_VARIABLE)) else None
        redactor = Redactor()
        redact_outputs(redactor)
        check_environment()
        parameters = notebook_parameters(name, namespace)
        settings = run_settings(folder, parameters)
        with ExitStack() as held:
            if folder is None:
                held.enter_context(target_lock(outputs_dir(), settings.target))
            journal = FileJournal(folder, redactor) if folder else None
            reached = (
                reach(settings, journal, parameters.needs)
                if parameters.reaches_target
                else try_to_reach(settings, journal)
            )
            if folder is None:
                folder = make_folder(outputs_dir(), new_run_id(name), name, settings, parameters)
                held.enter_context(
                    FileJournal(folder, redactor).interval("run", name, interactive=True)
                )
            run = cls.begin(name, folder, settings, parameters, reached, redactor)
            if not given:
                run.hold(held.pop_all())
        run.opened(started, reached.identity)
        return run

    @classmethod
    def begin(
        cls,
        name: str,
        folder: Path,
        settings: Settings,
        parameters: RunbookParameters,
        reached: Reached,
        redactor: Redactor,
    ) -> "Runbook":
        """A run in a folder that is there, by ways that are known to work."""
        journal = FileJournal(folder, redactor)
        reached.aws.journal = reached.ssh.journal = journal
        context = Context(
            run_id=folder.name,
            folder=folder,
            settings=settings,
            parameters=parameters,
            journal=journal,
            aws=reached.aws,
            ssh=reached.ssh,
        )
        source = os.environ.get(NOTEBOOK_VARIABLE) or notebooks_dir() / f"{name}.ipynb"
        return cls(name, context, redactor, code_cells(Path(source)))

    def hold(self, held: ExitStack) -> None:
        """Stepped through by a person: hold the target's lock until the verdict."""
        self._interactive = True
        self._held = held
        _current.append(self)

    def opened(self, started: tuple[float, str], identity: str) -> None:
        """Record and show the setup cell: on what, as whom, recorded where."""
        outcome = opening(self.context, identity)
        self._record(Display(), "setup", "setup", started, "ok", outcome)

    @property
    def planning(self) -> bool:
        """True in a dry run."""
        return self.context.parameters.plan

    @property
    def checking(self) -> bool:
        """True where the target is judged only: every check is made, nothing is mended."""
        return bool(getattr(self.context.parameters, "check_only", False))

    def stage(self, cell: str, stage: Stage) -> None:
        """Bring one part of the target to what is declared. Applying twice changes nothing."""

        def work(context: Context) -> Outcome:
            if self.checking:
                return self._looked(cell, lambda c: judge_declared(make_plan(stage, c)), context)
            if not self.planning:
                return carry_out(stage, context, self._agree)
            try:
                plan = make_plan(stage, context)
            except ChronosError as error:
                if not self._pending:
                    raise
                return known_after_apply(stage.name, error)
            self._pending |= not plan.empty
            return show(plan, allow_restart=getattr(context.parameters, "allow_restart", False))

        self._run(cell, "stage", work, "would_run" if self.planning else "ok")

    def step(self, cell: str, function: Step, *, probe: bool = False, consent: str = "") -> None:
        """Do one step. In a dry run it is named only, unless it is a probe (changes nothing).

        A probe may fail there where an earlier stage has changes that were not made.
        `consent`: what must be agreed to before it (a paid instance, a write on the target).
        """

        def agreed(context: Context) -> Outcome:
            if consent:
                self.confirm(consent)
            return self._looked(cell, function, context) if self.checking else function(context)

        def look(context: Context) -> Outcome:
            try:
                return function(context)
            except ChronosError as error:
                if not self._pending:
                    raise
                return known_after_apply(cell, error)

        if not self.planning:
            self._run(cell, "step", agreed)
        elif probe or getattr(function, "probe", False):
            self._run(cell, "step", look)
        else:
            promise = (function.__doc__ or cell).strip().splitlines()[0]
            self._run(cell, "step", lambda _: Outcome(summary=f"Would run: {promise}"), "would_run")

    def _looked(self, cell: str, look: Step, context: Context) -> Outcome:
        """A look that breaks is a finding with status error; the others are still made."""
        try:
            return look(context)
        except ChronosError as error:
            return could_not_look(cell, error)

    def confirm(self, what: str) -> None:
        """Consent to what cannot be taken back. Raises Refused.

        A person types the target's name; headlessly `approve=<target>` must be given.
        """
        context = self.context
        target = context.settings.target
        if self.planning:
            return
        if self._interactive and interactive():
            typed = read_line(f"{what}\nType the target's name ({target}) to agree: ").strip()
            given, hint = typed, "run the cell again and type the name exactly"
        else:
            given = context.parameters.approve
            hint = f"agree to it with `--approve {target}`"
        agreed = given == target
        context.journal.note("confirm", what=what, agreed=agreed)
        if not agreed:
            raise Refused(f"not approved: {what}", repr(given), hint=hint)

    def chart(self, cell: str, function: Callable[[Result], str]) -> None:
        """Draw a chart from what was measured so far; kept as charts/<cell>.svg."""

        def work(context: Context) -> Outcome:
            if self.planning:
                return Outcome(summary="Would draw what was measured.")
            svg = function(self._result_so_far())
            write_text(context.folder / "charts" / f"{cell}.svg", svg)
            drawn.append(svg)
            return Outcome(summary=f"`charts/{cell}.svg`")

        drawn: list[str] = []
        self._run(cell, "chart", work, "would_run" if self.planning else "ok", drawn)

    def teardown(self, cell: str = "teardown") -> None:
        """Remove what the run made, newest first, each proven gone by a probe."""

        def work(context: Context) -> Outcome:
            removed = rollback(context.folder, context.journal)
            left = pending_resources(context.folder)
            if left:
                raise ChronosError("still there after the teardown", [name for name, _ in left])
            return Outcome(
                summary=f"{len(removed)} removed, nothing of this run is left."
                if removed
                else "Nothing to remove.",
                table=[{"removed": name} for name in removed],
            )

        self._run(cell, "teardown", work)

    def verdict(self, cell: str = "verdict") -> None:
        """Judge the run and write it down; raises Deviated unless all is proven good."""
        display = Display()
        started = time.monotonic(), stamp(utc_now())
        self._record(display, cell, "verdict", started, "ok", None)
        result = self._result_so_far()
        folder = self.context.folder
        own = VerdictRecord(
            run_id=self.context.run_id, verdict=result.verdict, reasons=result.reasons
        )
        write_json(folder / VERDICT, self._redactor.data(own.model_dump(mode="json")))
        told = leave_stamp(self.name, self.context, result.verdict)
        said = [f"**{result.verdict.upper()}**", *result.reasons, *told]
        outcome = Outcome(summary="\n\n".join(said))
        banner = verdict_html(result)
        self._record(display, cell, "verdict", started, "ok", outcome, banner=banner)
        self.context.close()
        if self._interactive:
            self._seal()
        if result.verdict not in (Verdict.PASSED, Verdict.PLANNED):
            raise Deviated(f"the run has {result.verdict}", "; ".join(result.reasons))

    def abandon(self) -> None:
        """Interactively, when another run begins in this kernel: tear down, record, let go."""
        self._ending = Ending(aborted="another run was begun in its kernel")
        try:
            rollback(self.context.folder, self.context.journal)
        finally:
            self.context.close()
            self._seal()

    def _agree(self, plan: Plan, text: str) -> None:
        """Consent to the changes of a stage; a person sees the diff above the question."""
        if self._interactive and interactive():
            print(text)  # noqa: T201 - stays above the prompt
        self.confirm(f"{plan.name}: {len(plan.changes)} changes ({plan.effect})")

    def _run(
        self,
        cell: str,
        kind: StepKind,
        work: Step,
        status: StepStatus = "ok",
        drawn: list[str] | None = None,
    ) -> None:
        """Journal, do, record and display one cell's work. What it raises is passed on."""
        display = Display()
        started = time.monotonic(), stamp(utc_now())
        context = replace(self.context, say=display.line)
        try:
            with context.journal.interval("step", cell):
                outcome = work(context)
        except Exception as error:
            found = ended_by(cell, error)
            self._record(display, cell, kind, started, "error", found, error)
            raise
        except BaseException as error:
            self._record(display, cell, kind, started, "interrupted", None, error)
            raise
        self._record(display, cell, kind, started, status, outcome, chart="".join(drawn or ()))

    def _record(
        self,
        display: Display,
        cell: str,
        kind: StepKind,
        started: tuple[float, str],
        status: StepStatus,
        outcome: Outcome | None,
        error: BaseException | None = None,
        chart: str = "",
        banner: str = "",
    ) -> None:
        folder = self.context.folder
        drawn = f"charts/{cell}.svg"
        files = {drawn: sha256((folder / drawn).read_bytes()).hexdigest()} if chart else {}
        record = StepRecord(
            schema="chronos-ops/step/1",
            cell=cell,
            kind=kind,
            status=status,
            started_at=started[1],
            seconds=round(time.monotonic() - started[0], 3),
            outcome=outcome,
            error=StepError.of(error) if error is not None else None,
            files=files,
        )
        display.record(write_step(folder, record, self._redactor), chart, banner)

    def _result_so_far(self, *, final: bool = False) -> Result:
        """Judged from inside, where a cell's record alone says that it was executed."""
        proofs = [replace(c, executed=True) for c in self._cells if c.tags & RECORDING_TAGS]
        return build_result(self.context.folder, proofs, self._ending, final=final)

    def _seal(self) -> None:
        """Interactively: write result and manifest, let go of the target, seal (R4)."""
        self._held.close()
        result = self._result_so_far(final=True)
        seal_record(self.context.folder, result, self._redactor, (_STEPPED,))
        archive_sealed(self.context.folder, self.context.settings, print, self._redactor)
        _current[:] = [run for run in _current if run is not self]
