"""Run a runbook headlessly: check everything, execute, tear down, judge, seal (R1, R3).

The verdict comes from the run's folder (journal, step records, the executed cells), never from
papermill's own metadata. Runbook and runner meet through the folder alone.
"""

import difflib
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos_ops.evidence.archiving import archive_run
from chronos_ops.evidence.cells import code_cells, executed_of
from chronos_ops.evidence.folder import (
    NOTEBOOK_VARIABLE,
    PREFIX_VARIABLE,
    RUN_DIR_VARIABLE,
    RUN_ID_VARIABLE,
    checkout,
    make_folder,
    new_run_id,
    notebooks_dir,
    outputs_dir,
    read_json,
    target_lock,
    write_text,
)
from chronos_ops.evidence.journal import RESERVE, FileJournal, read_journal
from chronos_ops.evidence.manifest import seal_record
from chronos_ops.evidence.notebook import kept_notebook, notebook_text
from chronos_ops.evidence.record import RESULT, CellProof, Ending, build_result, write_result
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.secret_gate import look_over
from chronos_ops.evidence.secrets import SOCKET_VARIABLE, SecretListener
from chronos_ops.evidence.steps import read_steps
from chronos_ops.model.errors import Refused, UsageError
from chronos_ops.model.parameters.common import RunbookParameters
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import Settings, load_settings
from chronos_ops.runner_kernel import Stopper, kernel_environment, kill_group
from chronos_ops.runner_parameters import parameters_from_text
from chronos_ops.runner_progress import Progress
from chronos_ops.runner_unfinished import (
    forget_kernel,
    runs_of,
    seal_unfinished,
    tear_down,
    tear_down_again,
)

_RESERVE_BYTES = 4 * 1024 * 1024
_LEAKS_SHOWN = 10
_RUNS_LOOKED_AT = 20  # the newest: a start must not read the journals of years


@dataclass(frozen=True)
class Spec:
    """What is to be run, checked. Times in seconds."""

    runbook: str
    notebook: Path
    settings: Settings
    parameters: RunbookParameters
    outputs: Path
    cell_seconds: float = 4 * 3600
    run_seconds: float = 12 * 3600
    teardown_seconds: float = 1800
    grace_seconds: float = 60  # from an interrupt to the kernel's end by force
    quiet: bool = False
    begun: Callable[[str], None] = lambda _run_id: None  # told as soon as the run has a folder


def run(
    runbook: str, target: str, overrides: dict[str, str], approve: str = "", plan: bool = False
) -> Result:
    """Run a runbook on a target. The result's verdict has the exit status.

    Raises UsageError or Refused (exit 2) where nothing was touched; no run folder is left then.
    """
    return execute(prepare(runbook, target, overrides, approve, plan=plan))


def prepare(
    runbook: str, target: str, overrides: dict[str, str], approve: str, *, plan: bool
) -> Spec:
    """Check all that can be checked without touching anything. Raises UsageError, Refused."""
    notebook = notebooks_dir() / f"{runbook}.ipynb"
    known = sorted(path.stem for path in notebooks_dir().glob("*.ipynb"))
    if runbook not in known:
        near = difflib.get_close_matches(runbook, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise UsageError("unknown runbook", repr(runbook), hint=hint)
    settings = load_settings(target)
    parameters = parameters_from_text(runbook, target, overrides, approve, plan=plan)
    said = read_json(notebook)["metadata"].get("chronos", {})
    if approve and approve != target:
        raise UsageError("the approval names another target", repr(approve), hint=f"not {target!r}")
    if said.get("changes", True) and not plan and approve != target:
        raise Refused(
            f"{runbook} changes the target and is not approved",
            hint=f"look first with `--plan`, then agree to it with `--approve {target}`",
        )
    seconds = {name: said[name] for name in ("cell_seconds", "run_seconds") if name in said}
    limits = {"cell_seconds": Spec.cell_seconds, "run_seconds": Spec.run_seconds, **seconds}
    longer = {name: limit + parameters.waiting_seconds for name, limit in limits.items()}
    return Spec(runbook, notebook, settings, parameters, outputs_dir(), **longer)


def execute(spec: Spec) -> Result:
    """Execute a checked run in this process (one run a process). Raises UsageError, Refused."""
    progress = Progress(quiet=spec.quiet)
    with (
        target_lock(spec.outputs, spec.settings.target),
        Stopper(grace_seconds=spec.grace_seconds, run_seconds=spec.run_seconds) as stopper,
    ):
        target_folder = spec.outputs / spec.settings.target
        seal_unfinished(target_folder, spec.settings, progress.note)
        newest = runs_of(target_folder)[-_RUNS_LOOKED_AT:]
        tear_down_again(newest, spec.settings, progress.note)  # `reap` looks at all of them
        folder = make_folder(
            spec.outputs,
            new_run_id(spec.runbook),
            spec.runbook,
            spec.settings,
            spec.parameters,
        )
        spec.begun(folder.name)
        redactor = Redactor()
        _reserve(folder)
        notebook, ending = _drive(spec, folder, redactor, stopper, progress)
        cells = executed_of(notebook) if notebook is not None else code_cells(spec.notebook)
        refusal = None if ending.aborted else _refusal(folder, cells)
        if refusal:
            shutil.rmtree(folder)
            raise Refused(refusal)
        sealing = _Sealing(folder, redactor, progress.note, spec.settings)
        result = sealing.seal(notebook, cells, ending)
        forget_kernel(folder)
        progress.note(overhead_line(result))
        return result


def overhead_line(result: Result) -> str:
    """What the runbook itself cost: its wall time without what was remote work or waiting."""
    figures = result.measures["overhead"]
    wall, own = figures["wall_seconds"], figures["own_seconds"]
    share = own / wall if wall else 0.0
    return f"overhead: {own:.1f} s of {wall:.1f} s ({share:.0%}), the rest was work and waiting"


def _drive(
    spec: Spec, folder: Path, redactor: Redactor, stopper: Stopper, progress: Progress
) -> tuple[dict[str, Any] | None, Ending]:
    """Run the notebook, then remove what its own teardown left."""
    from chronos_ops.runner_engine import Session, drive  # papermill: not before all is checked

    journal = FileJournal(folder, redactor)
    with SecretListener(redactor) as listener:
        extra = {
            RUN_DIR_VARIABLE: str(folder),
            RUN_ID_VARIABLE: folder.name,
            NOTEBOOK_VARIABLE: str(spec.notebook),
            PREFIX_VARIABLE: sys.prefix,
            SOCKET_VARIABLE: str(listener.path),
        }
        session = Session(
            source=spec.notebook.resolve(),
            output=folder.resolve() / "executed.ipynb",
            folder=folder,
            parameters=spec.parameters.model_dump(),
            redactor=redactor,
            stopper=stopper,
            progress=progress,
            environment=kernel_environment(checkout(), listener.path.parent, extra),
            private=listener.path.parent,
            working_directory=checkout(),
            cell_seconds=spec.cell_seconds,
            teardown_seconds=spec.teardown_seconds,
        )
        with journal.interval("run", spec.runbook):
            try:
                drive(session)
            finally:
                pid = stopper.kernel_pid()
                if pid is not None:  # what the kernel started and left running
                    kill_group(pid, signal.SIGKILL)
                tear_down(folder, journal, progress.note)
    aborted = stopper.reason or session.aborted
    return session.notebook, Ending(aborted=aborted, problems=tuple(session.problems))


def _refusal(folder: Path, cells: list[CellProof]) -> str:
    """Why the notebook refused before anything was touched; empty if it did not."""
    events = read_journal(folder)
    if any(e.event == "resource" or (e.event == "begin" and e.kind == "deed") for e in events):
        return ""
    steps = read_steps(folder)
    for cell in cells:
        error = steps[cell.id].error if cell.id in steps else None
        if error is not None:
            return error.text if error.exit_status == 2 else ""
        if cell.error:
            return cell.text if cell.exit_status == 2 else ""
    return ""


def _reserve(folder: Path) -> None:
    """Keep some of the disk back, so that a full one does not hide how the run ended."""
    path = folder / RESERVE
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError as error:
            shutil.rmtree(folder)
            if error.errno != errno.ENOSPC:
                raise
            raise UsageError("no space for a run's record", folder.parent) from None


@dataclass
class _Sealing:
    """Writes what a run leaves, in order; the manifest last. A file that fails is a reason."""

    folder: Path
    redactor: Redactor
    say: Callable[[str], None]
    settings: Settings

    def seal(
        self, notebook: dict[str, Any] | None, cells: list[CellProof], ending: Ending
    ) -> Result:
        problems = list(ending.problems)
        (self.folder / RESERVE).unlink(missing_ok=True)
        result = build_result(self.folder, cells, ending)

        def attempt(noun: str, write: Callable[[], object]) -> None:
            try:
                write()
            except OSError as error:
                problems.append(f"{noun} could not be written: {error.strerror or error}")

        # Before the page, which costs most room: the record alone must find its place. A pass is
        # written with its manifest only.
        early = _not_whole(result, "it was cut off while its record was written")
        attempt(RESULT, lambda: write_result(self.folder, early, self.redactor))
        if notebook is not None:
            kept = kept_notebook(notebook, self.redactor)
            attempt("executed.ipynb", lambda: self._notebook(kept))
            attempt("executed.html", lambda: self._page(kept, result))
        attempt("the redacted files", self._redact)
        looked: list[list[str]] = []
        attempt("the secret gate's answer", lambda: looked.append(self._leaks()))
        leaks = looked[0] if looked else ["a run whose files it could not read"]
        problems += [f"the secret gate refuses {leak}" for leak in leaks[:_LEAKS_SHOWN]]
        if len(problems) > len(ending.problems):
            result = build_result(self.folder, cells, Ending(ending.aborted, tuple(problems)))
            if leaks and notebook is not None:  # a page that says `passed` no more
                attempt("executed.html", lambda: self._page(kept, result))
        notes = () if notebook is not None else ("executed.ipynb: none, no kernel was started",)
        try:
            seal_record(self.folder, result, self.redactor, notes)
        except OSError as error:
            self.say(f"result.json and manifest.json could not be written: {error}")
            return _not_whole(result, "the run's record is not whole")
        refused = f"the secret gate found {len(leaks)} places" if leaks else ""
        unsealed = archive_run(self.folder, self.settings, self.say, refused=refused)
        return _not_whole(result, unsealed) if unsealed else result

    def _leaks(self) -> list[str]:
        places = look_over(self.folder, self.redactor, self.settings.secret_gate.allow)
        return [str(place) for place in places]

    def _notebook(self, kept: dict[str, Any]) -> None:
        write_text(self.folder / "executed.ipynb", notebook_text(kept))

    def _page(self, kept: dict[str, Any], result: Result) -> None:
        from chronos_ops.evidence.html import page  # nbconvert: seconds

        write_text(self.folder / "executed.html", self.redactor.text(page(kept, result)))

    def _redact(self) -> None:
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.redactor.file(path)


def _not_whole(result: Result, reason: str) -> Result:
    """What its own files cannot say any more: no pass without its evidence."""
    worse = result.verdict if result.verdict.exit_status else Verdict.UNKNOWN
    return result.model_copy(update={"verdict": worse, "reasons": [*result.reasons, reason]})
