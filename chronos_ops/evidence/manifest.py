"""manifest.json: sha256 of every file of a run, and what it ran with (R3, R8)."""

import hashlib
import json
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import chronos_ops
from chronos_ops.evidence.folder import checkout, write_json
from chronos_ops.evidence.record import RESULT, evaluated_by, hardware, write_result
from chronos_ops.evidence.redact import Redactor
from chronos_ops.model.result import Result
from chronos_ops.model.timing import stamp, utc_now

MANIFEST = "manifest.json"
_PACKAGES = (
    "boto3",
    "fabric",
    "ipykernel",
    "jupyterlab",
    "matplotlib",
    "nbclient",
    "nbconvert",
    "pandas",
    "papermill",
    "paramiko",
    "psycopg",
    "pydantic",
)


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_state(root: Path) -> dict[str, Any]:
    """Commit and whether the checkout differs from it; None where git cannot tell."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain")
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(changed)}


def _git(root: Path, *words: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=20
    )
    return answer.stdout.strip()


def versions() -> dict[str, str]:
    """Python and the packages that a run depends on."""
    found = {"python": platform.python_version(), "chronos-ops": chronos_ops.__version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def seal_record(
    folder: Path, result: Result, redactor: Redactor, notes: tuple[str, ...] = ()
) -> None:
    """Write manifest.json, then result.json, of which it has the hash already. Raises OSError.

    A process that is killed in between leaves no result that says `passed` by itself.
    """
    coming = write_result(folder, result, redactor, f".{RESULT}.tmp")
    write_manifest(folder, notes, coming)
    coming.replace(folder / RESULT)


def write_manifest(
    folder: Path, notes: tuple[str, ...] = (), coming_result: Path | None = None
) -> Path:
    """Write manifest.json, last of all files. Raises OSError.

    `notes` say what is missing and why. Hidden files (temporary ones) are no part of a run.
    """
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    if coming_result is not None:
        found[RESULT] = coming_result
    files = []
    for name, path in sorted(found.items()):
        if name != MANIFEST and not any(part.startswith(".") for part in name.split("/")):
            files.append({"path": name, "bytes": path.stat().st_size, "sha256": sha256(path)})
    manifest = {
        "schema": "chronos-ops/manifest/1",
        "run_id": folder.name,
        "written_at": stamp(utc_now()),
        "evaluated_by": evaluated_by(),
        "hardware": hardware(),
        "executable": sys.executable,
        "versions": versions(),
        "git": git_state(checkout()),
        "notes": list(notes),
        "files": files,
    }
    path = folder / MANIFEST
    write_json(path, manifest)
    return path


def differences(folder: Path) -> list[str]:
    """Files that are not as the manifest says (changed, gone, new). Raises OSError, ValueError."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    listed = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    found = []
    for name, digest in listed.items():
        path = folder / name
        if not path.is_file():
            found.append(f"gone: {name}")
        elif sha256(path) != digest:
            found.append(f"changed: {name}")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in name.split("/"))
        if path.is_file() and name != MANIFEST and not hidden and name not in listed:
            found.append(f"new: {name}")
    return found
