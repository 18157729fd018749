"""A run's folder: its name, its first file, and the lock that keeps runs on a target apart."""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters.common import RunbookParameters
from chronos_ops.model.settings import Settings
from chronos_ops.model.timing import stamp, utc_now

# Set for the kernel by the runner; unset where an engineer steps through a notebook.
RUN_DIR_VARIABLE = "CHRONOS_RUN_DIR"
RUN_ID_VARIABLE = "CHRONOS_RUN_ID"
NOTEBOOK_VARIABLE = "CHRONOS_NOTEBOOK"
PREFIX_VARIABLE = "CHRONOS_PREFIX"

PARAMETERS = "parameters.json"
_SHORT = {
    "pgbackrest_backup_restore": "backup",
    "disaster_recovery": "drill",
    "security_hardening": "hardening",
    "cloudwatch_monitoring": "monitoring",
    "production_readiness": "readiness",
    "application_deploy": "application",
    "fault_catalogue": "faults",
}


def checkout() -> Path:
    """The root of this checkout."""
    return Path(__file__).resolve().parents[2]


def outputs_dir() -> Path:
    """`outputs/` of this checkout."""
    return checkout() / "outputs"


def notebooks_dir() -> Path:
    """`notebooks/` of this checkout."""
    return checkout() / "notebooks"


def new_run_id(runbook: str) -> str:
    """Sorts by time, names the runbook, is unique: `20261122T214503Z-drill-1f00ba`."""
    short = _SHORT.get(runbook) or re.sub(r"[^a-z0-9]+", "-", runbook.lower())[:16].strip("-")
    return f"{utc_now():%Y%m%dT%H%M%SZ}-{short}-{secrets.token_hex(3)}"


def make_folder(
    outputs: Path, run_id: str, runbook: str, settings: Settings, parameters: RunbookParameters
) -> Path:
    """Make `outputs/<target>/<run_id>` with its parameters.json (no secrets: names only)."""
    folder = outputs / settings.target / run_id
    for part in ("steps", "charts", "logs"):
        (folder / part).mkdir(parents=True)
    write_json(
        folder / PARAMETERS,
        {
            "runbook": runbook,
            "run_id": run_id,
            "started_at": stamp(utc_now()),
            "parameters": parameters.model_dump(mode="json"),
            "settings": settings.model_dump(mode="json"),
        },
    )
    return folder


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing: to a temporary file, then renamed. Raises OSError."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, data: Any) -> None:
    """Readable JSON, keys in the order given. Raises OSError."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The data, or None where there is no readable JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@contextmanager
def target_lock(outputs: Path, target: str) -> Iterator[None]:
    """One run per target at a time. Raises UsageError that names the holder (exit 2).

    The lock ends with its process, however that ends.
    """
    folder = outputs / target
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 100, 0).decode(errors="replace").strip() or "another process"
            raise UsageError(
                f"a run on target {target!r} is under way",
                holder,
                hint="wait for its end, or end that process; one run per target at a time",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"pid {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(handle)
