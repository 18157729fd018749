"""papermill's engine for runbooks: after an error only teardown and verdict; nothing half written.

`import papermill` costs seconds, most of it in modules that nothing here needs; they are named as
absent before it is imported (papermill then goes without them).
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

for _unneeded in ("rfc3987_syntax", "papermill.s3", "papermill.adl", "papermill.abs"):
    sys.modules.setdefault(_unneeded, None)  # type: ignore[arg-type]

import papermill.execute  # noqa: E402 - after what it must not find
from jupyter_client.kernelspec import KernelSpec  # noqa: E402
from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from nbclient.exceptions import CellExecutionError, DeadKernelError  # noqa: E402
from papermill.clientwrap import PapermillNotebookClient  # noqa: E402
from papermill.engines import Engine, papermill_engines  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402
from papermill.iorw import papermill_io  # noqa: E402

from chronos_ops.evidence.cells import proof_of, tags_of  # noqa: E402
from chronos_ops.evidence.folder import write_text  # noqa: E402
from chronos_ops.evidence.notebook import kept_notebook, notebook_text  # noqa: E402
from chronos_ops.evidence.redact import Redactor  # noqa: E402
from chronos_ops.evidence.steps import read_steps  # noqa: E402
from chronos_ops.runner_kernel import Stopper, kernel_command  # noqa: E402
from chronos_ops.runner_progress import Progress  # noqa: E402
from chronos_ops.runner_unfinished import remember_kernel  # noqa: E402

ENGINE = "chronos"
LAST_RESORT = frozenset({"always", "verdict"})


@dataclass
class Session:
    """One headless execution: what engine and file handler share with the runner."""

    source: Path
    output: Path
    folder: Path
    parameters: dict[str, Any]
    redactor: Redactor
    stopper: Stopper
    progress: Progress
    environment: dict[str, str]
    private: Path  # only ours to read, gone at the end
    working_directory: Path
    cell_seconds: float
    teardown_seconds: float
    notebook: dict[str, Any] | None = None  # as executed so far
    aborted: str = ""
    problems: list[str] = field(default_factory=list)


def drive(session: Session) -> None:
    """Execute the notebook. Never raises for what went wrong in it: see the session."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    papermill_engines.register(ENGINE, RunbookEngine)
    # Not "local": of two handlers for it, the oldest wins.
    papermill_io.register("/", _Files(session))
    try:
        papermill.execute.execute_notebook(
            str(session.source),
            str(session.output),
            parameters=session.parameters,
            engine_name=ENGINE,
            kernel_name="python3",
            progress_bar=False,
            session=session,
        )
    except PapermillExecutionError:
        pass  # the cells' own outputs say so
    except DeadKernelError:
        session.aborted = "the kernel died"
    except RuntimeError as error:  # jupyter_client: it died before it answered
        session.aborted = f"the kernel did not start: {error}"


class _Manager(AsyncKernelManager):  # type: ignore[misc,unused-ignore]
    """Starts this interpreter's kernel, not one found by name."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(argv=kernel_command(), display_name="Python 3", language="python")

    def pid(self) -> int | None:
        process = getattr(self.provisioner, "process", None)
        return None if process is None else process.pid


class RunbookEngine(Engine):  # type: ignore[misc]
    """Registered with papermill as `chronos`."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, session: Session, **_ignored: Any
    ) -> None:
        session.notebook = nb_man.nb
        if session.stopper.reason:
            return
        # Sockets in the run's private folder: nothing listens on a port.
        manager = _Manager(
            kernel_name=kernel_name,
            transport="ipc",
            connection_file=str(session.private / "kernel.json"),
            ip=str(session.private / "kernel"),
        )
        session.stopper.kernel_pid = manager.pid
        client = _Client(
            nb_man,
            session=session,
            km=manager,
            kernel_name=kernel_name,
            startup_timeout=60,
            log=logging.getLogger("papermill"),
        )
        client.execute(env=session.environment, cwd=str(session.working_directory), cleanup_kc=True)


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    def __init__(self, nb_man: Any, *, session: Session, **more: Any) -> None:
        super().__init__(nb_man, **more)
        self._run = session

    def papermill_execute_cells(self) -> None:
        """Every cell; after an error or an interrupt those of last resort only."""
        pid = self._run.stopper.kernel_pid()
        if pid is not None:
            remember_kernel(self._run.folder, pid)
        broken = False
        cells = [c for c in self.nb.cells if c.cell_type == "code"]
        ready = not any("setup" in tags_of(cell) for cell in cells)
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            tags = tags_of(cell)
            broken = broken or bool(self._run.stopper.reason or self._run.problems)
            if broken and not (ready and tags & LAST_RESORT):
                continue
            if not self._one(index, cell, protected="always" in tags):
                broken = True
            elif "setup" in tags:
                ready = True

    def _one(self, index: int, cell: Any, *, protected: bool) -> bool:
        run = self._run
        seconds = run.teardown_seconds if protected else run.cell_seconds
        started = time.monotonic()
        shown = bool(tags_of(cell) - {"parameters", "injected-parameters"})
        if shown:
            run.progress.begin(cell.id)
        try:
            self.nb_man.cell_start(cell, index)
            with run.stopper.cell(seconds, protected=protected):
                self.execute_cell(cell, index)
        except CellExecutionError as error:
            self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
            return False
        finally:
            self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)
            if shown:
                self._tell(cell, time.monotonic() - started)
        return True

    def _tell(self, cell: Any, seconds: float) -> None:
        record = read_steps(self._run.folder).get(cell.id)
        proof = proof_of(cell)
        error = f"{proof.error}: {proof.text}" if proof.error else ""
        self._run.progress.end(cell.id, seconds, record, self._run.redactor.text(error))

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        content = msg.get("content", {})
        if msg["msg_type"] in ("display_data", "update_display_data"):
            data = content.get("data", {})
            if set(data) == {"text/plain"}:
                self._run.progress.line(self._run.redactor.text(str(data["text/plain"])))
        return super().process_message(msg, cell, cell_index)


class _Files:
    """papermill's door to files with absolute paths: whole, redacted, or as it was before."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, path: str) -> str:
        return Path(path).read_text(encoding="utf-8")

    def write(self, text: str, path: str) -> None:
        """Where a write fails (a full disk), the last good copy stays and the run ends."""
        session = self._session
        try:
            write_text(Path(path), notebook_text(kept_notebook(json.loads(text), session.redactor)))
        except OSError as error:
            problem = f"the executed notebook could not be written: {error.strerror}"
            if problem not in session.problems:
                session.problems.append(problem)

    def pretty_path(self, path: str) -> str:
        return path

    listdir: Callable[[str], list[str]] = staticmethod(lambda path: [])
