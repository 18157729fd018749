"""End what a killed process left: its kernel, its resources, its record (failure 24, D4).

The last thing that a runner does is to take away `.kernel`; until then the next start looks after
the run, wherever the kill came: in the work, in the teardown, while sealing, before the archive.
"""

import json
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from chronos_ops.evidence.archiving import archive_sealed, is_sealed
from chronos_ops.evidence.cells import executed_cells
from chronos_ops.evidence.folder import PARAMETERS, read_json, write_text
from chronos_ops.evidence.journal import RESERVE, FileJournal, read_journal
from chronos_ops.evidence.manifest import MANIFEST, differences, seal_record, write_manifest
from chronos_ops.evidence.record import RESULT, Ending, build_result, read_result
from chronos_ops.evidence.redact import Redactor
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.settings import Settings
from chronos_ops.runner_kernel import kill_group
from chronos_ops.schedule.process import Process, process_of

KERNEL = ".kernel"
_KILL_SECONDS = 10.0
Say = Callable[[str], None]


def remember_kernel(folder: Path, pid: int) -> None:
    """Before the kernel does anything: who it is, for whoever comes after us. Raises OSError."""
    write_text(folder / KERNEL, json.dumps(asdict(process_of(pid))))


def forget_kernel(folder: Path) -> None:
    """The run is whole: nobody has to look after it."""
    (folder / KERNEL).unlink(missing_ok=True)


def runs_of(target_folder: Path) -> list[Path]:
    """Folders of a target's runs, oldest first."""
    return sorted(start.parent for start in target_folder.glob(f"*/{PARAMETERS}"))


def seal_unfinished(target_folder: Path, settings: Settings, say: Say) -> list[str]:
    """End what killed processes left; names of the runs that are sealed now.

    The caller holds the target's lock. A run whose teardown fails is tried again next time.
    """
    sealed: list[str] = []
    for folder in runs_of(target_folder):
        whole = (folder / RESULT).exists() and (folder / MANIFEST).exists()
        if whole and not (folder / KERNEL).exists():
            continue
        end_kernel(folder)
        whole = whole and not differences(folder)  # killed between manifest and result
        if not whole and not _seal(folder, say):
            continue
        if not is_sealed(folder, settings):
            archive_sealed(folder, settings, say)
        _sweep(folder)
        sealed.append(folder.name)
    return sealed


def _seal(folder: Path, say: Say) -> bool:
    """Tear it down and write its record; False where something stayed."""
    early = read_result(folder)
    say(f"{folder.name} was killed before its end: tearing it down")
    tear_down(folder, FileJournal(folder), say)
    where = "its process was killed" + (" before its record was whole" if early else "")
    result = build_result(folder, executed_cells(folder / "executed.ipynb"), Ending(aborted=where))
    if any(reason.startswith("not proven to be removed") for reason in result.reasons):
        return False
    if early and early.verdict.exit_status:  # a full disk, the secret gate
        reasons = list(dict.fromkeys([*result.reasons, *early.reasons]))
        result = result.model_copy(update={"reasons": reasons})
    _sweep(folder, but=KERNEL)
    seal_record(folder, result, Redactor(), ("sealed by a later run: its own process was killed",))
    return True


def _sweep(folder: Path, but: str = "") -> None:
    """Reserve, and halves of files."""
    for path in [folder / RESERVE, folder / KERNEL, *folder.rglob(".*.tmp")]:
        if path.name != but:
            path.unlink(missing_ok=True)


def end_kernel(folder: Path) -> None:
    """A kernel, or what it started, may outlive its runner: what it still makes stays.

    Raises ChronosError if it survives SIGKILL.
    """
    try:
        kernel = Process(**read_json(folder / KERNEL))
    except TypeError:  # it was killed before it had one
        return
    deadline = time.monotonic() + _KILL_SECONDS
    while kernel.leads_a_group():
        kill_group(kernel.pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ChronosError(
                f"the kernel of {folder.name} does not end",
                f"process group {kernel.pid}",
                hint=f"look at it with `ps -g {kernel.pid}`; nothing is torn down while it lives",
            )
        time.sleep(0.02)


def tear_down(folder: Path, journal: FileJournal, say: Say) -> None:
    """Remove, in this process, what a dead or broken notebook did not; says what stayed."""
    if not any(event.event == "resource" for event in read_journal(folder)):
        return
    from chronos_ops.execution.rollback import pending_resources, rollback

    if not pending_resources(folder):
        return
    say("removing what the runbook left")
    try:
        for name in rollback(folder, journal):
            say(f"removed {name}")
    except ChronosError as error:
        journal.note("teardown", error=error.text())
        say(error.text())


def tear_down_again(runs: Iterable[Path], settings: Settings, say: Say) -> list[str]:
    """Teardowns that failed are tried again, from the runs' own journals; what still stays."""
    from chronos_ops.execution.rollback import pending_resources

    stayed: list[str] = []
    for run in runs:
        if not pending_resources(run):
            continue
        if (run / RESULT).exists():  # `seal_unfinished` tried the others
            say(f"{run.name} did not remove all that it made")
            tear_down(run, FileJournal(run), say)
            write_manifest(run, ("torn down again after its end, by a later start",))
            archive_sealed(run, settings, say)
        stayed += [f"{name} of {run.name}" for name, _ in pending_resources(run)]
    return stayed
