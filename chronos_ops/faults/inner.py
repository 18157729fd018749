"""One run of a runbook below the run of faults: by the command line, so that its exit status is
the real one; stopped in the middle where a fault strikes inside it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
from pydantic import ValidationError

from chronos_ops.evidence.folder import PARAMETERS, checkout, outputs_dir, read_json
from chronos_ops.evidence.record import RESULT
from chronos_ops.evidence.steps import StepRecord, read_steps
from chronos_ops.faults.laboratory import command, environment
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding
from chronos_ops.model.result import Result

RUN_SECONDS = 1800.0
_STILL_SECONDS = 10.0
_STILL = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
_KEPT = (RESULT, "manifest.json", "journal.jsonl", PARAMETERS)
Strike = Callable[[Path, Sequence[int]], None]  # the run's folder, its stopped processes


@dataclass(frozen=True)
class Inner:
    """What a run below left: its exit status, its result (None: it left none), its steps."""

    exit_status: int
    folder: Path | None
    result: Result | None
    steps: Mapping[str, StepRecord]

    def finding(self, identifier: str) -> Finding | None:
        """The finding of that id, the worst if there are several."""
        found = [f for f in self.result.findings if f.id == identifier] if self.result else []
        return next((f for f in found if not f.good), found[0] if found else None)

    def seconds_to(self, identifier: str, since: float) -> float | None:
        """Seconds from `since` (epoch) to the end of the step that named it; None: it did not."""
        for record in self.steps.values():
            told = record.outcome.findings if record.outcome else []
            if any(f.id == identifier and not f.good for f in told):
                began = datetime.fromisoformat(record.started_at).timestamp()
                return max(0.0, began + record.seconds - since)
        return None


def run_inner(
    runbook: str,
    target: str,
    parameters: Mapping[str, str],
    kept: Path,
    strike_after: str = "",
    strike: Strike | None = None,
) -> Inner:
    """Run a runbook to its end; what it leaves is copied to `kept`. Raises ChronosError where
    the step to strike after never ended, or the run did not end in time."""
    kept.mkdir(parents=True, exist_ok=True)
    words = ["run", runbook, "--target", target, "--approve", target]
    words += [word for key, value in parameters.items() for word in ("-p", f"{key}={value}")]
    before = set(_folders(target))
    with (
        (kept / f"{runbook}.log").open("a", encoding="utf-8") as sink,
        _ended(
            subprocess.Popen(
                command(*words),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=checkout(),
                env=environment(),
            )
        ) as process,
    ):
        deadline = time.monotonic() + RUN_SECONDS
        if strike is not None:
            folder = _step_ended(process, target, before, strike_after, deadline)
            with _stopped(process.pid) as stopped:
                strike(folder, stopped)
        try:
            process.wait(deadline - time.monotonic())
        except subprocess.TimeoutExpired:
            raise ChronosError(f"{runbook} did not end within {RUN_SECONDS:.0f} s") from None
    return _left(process.returncode, sorted(set(_folders(target)) - before), kept)


def _folders(target: str) -> list[Path]:
    return [path.parent for path in (outputs_dir() / target).glob(f"*/{PARAMETERS}")]


def _step_ended(
    process: "subprocess.Popen[bytes]", target: str, before: set[Path], cell: str, deadline: float
) -> Path:
    """The run's folder, once the record of that step lies in it."""
    while time.monotonic() < deadline and process.poll() is None:
        for folder in set(_folders(target)) - before:
            if (folder / "steps" / f"{cell}.json").exists():
                return folder
        time.sleep(0.02)
    raise ChronosError(f"the step {cell!r} to strike after did not end", target)


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Whatever happens here, the run tears itself down and ends."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(300)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _stopped(pid: int) -> Iterator[list[int]]:
    """A process and all below it, standing still."""
    root = psutil.Process(pid)
    pids = [pid, *(child.pid for child in root.children(recursive=True))]
    for each in pids:
        _signal(each, signal.SIGSTOP)
    try:
        _until_still(pids)
        yield pids
    finally:
        for each in pids:
            _signal(each, signal.SIGCONT)


def _until_still(pids: list[int]) -> None:
    """A signal is sent at once and taken a little later. Raises ChronosError."""
    deadline = time.monotonic() + _STILL_SECONDS
    while moving := [pid for pid in pids if _status(pid) not in _STILL]:
        if time.monotonic() > deadline:
            raise ChronosError("processes of the run do not stand still", moving)
        time.sleep(0.01)


def _status(pid: int) -> str:
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_DEAD)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _left(exit_status: int, folders: list[Path], kept: Path) -> Inner:
    if not folders:
        return Inner(exit_status, None, None, {})
    folder = folders[-1]
    for name in _KEPT:
        if (folder / name).is_file():
            shutil.copy2(folder / name, kept / name)
    try:
        result = Result.model_validate(read_json(folder / RESULT))
    except ValidationError:
        result = None
    return Inner(exit_status, folder, result, read_steps(folder))
