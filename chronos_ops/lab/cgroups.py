"""One cgroup per host, or hosts strike each other: without it two systemds share one.

Two hierarchies are known: cgroup v2 alone (`/sys/fs/cgroup`), and the hybrid of older machines
(`/sys/fs/cgroup/{unified,systemd,memory}`).
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from chronos_ops.lab.errors import LabError

ROOT = Path("/sys/fs/cgroup")
PREFIX = "chronos-"


def hierarchies(root: Path = ROOT) -> list[Path]:
    """Where a host needs a cgroup of its own. Raises LabError: cgroups of a kind not known."""
    if (root / "cgroup.controllers").is_file():
        return [root]
    found = [root / name for name in ("unified", "systemd", "memory") if (root / name).is_dir()]
    if len(found) != 3:
        raise LabError("cgroups of a kind not known", f"{root}: {[p.name for p in found]}")
    return found


def unified(root: Path = ROOT) -> Path:
    return hierarchies(root)[0]


def create(name: str, memory_bytes: int, root: Path = ROOT) -> list[Path]:
    """Make the host's cgroups with its memory limit; the `cgroup.procs` to join."""
    for hierarchy in hierarchies(root):
        (hierarchy / name).mkdir(exist_ok=True)
    legacy = root / "memory" / name
    if legacy.is_dir():
        (legacy / "memory.use_hierarchy").write_text("1")
        (legacy / "memory.limit_in_bytes").write_text(str(memory_bytes))
    else:
        with contextlib.suppress(OSError):  # already so, or systemd did it
            (root / "cgroup.subtree_control").write_text("+memory +pids")
        (root / name / "memory.max").write_text(str(memory_bytes))
        with contextlib.suppress(OSError):  # no swap accounting in this kernel
            (root / name / "memory.swap.max").write_text("0")
    return [hierarchy / name / "cgroup.procs" for hierarchy in hierarchies(root)]


def create_unlimited(name: str, root: Path = ROOT) -> Path:
    """A cgroup only to find and end what runs in it; its `cgroup.procs`."""
    (unified(root) / name).mkdir(exist_ok=True)
    return unified(root) / name / "cgroup.procs"


def members(name: str, root: Path = ROOT) -> set[int]:
    """Processes anywhere below the host's cgroups."""
    found: set[int] = set()
    for hierarchy in hierarchies(root):
        for folder, _, _ in os.walk(hierarchy / name):  # some vanish meanwhile: no error
            with contextlib.suppress(OSError):
                text = Path(folder, "cgroup.procs").read_text()
                found |= {int(line) for line in text.split()}
    return found - {0}


def kill(name: str, *, deadline_seconds: float = 10, root: Path = ROOT) -> None:
    """SIGKILL to every process of the host at once: a power failure. Returns when all are gone."""
    switch = unified(root) / name / "cgroup.kill"
    with contextlib.suppress(FileNotFoundError):
        switch.write_text("1")
    deadline = time.monotonic() + deadline_seconds
    while left := members(name, root):
        for pid in left:  # what sits in another hierarchy only (nspawn itself, half started)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LabError("processes of a host survive SIGKILL", sorted(left))
        time.sleep(0.01)


def remove(name: str, root: Path = ROOT) -> None:
    """Remove the host's empty cgroups, innermost first."""
    for hierarchy in hierarchies(root):
        top = hierarchy / name
        for path in sorted((Path(folder) for folder, _, _ in os.walk(top)), reverse=True):
            _rmdir(path)


def _rmdir(path: Path, deadline_seconds: float = 5) -> None:
    """A cgroup stays busy for a moment after its last process was reaped."""
    deadline = time.monotonic() + deadline_seconds
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise LabError("a cgroup cannot be removed", path) from None
            time.sleep(0.02)
        else:
            return


def named(prefix: str, root: Path = ROOT) -> set[str]:
    """Names of the cgroups that begin with `prefix`."""
    return {p.name for h in hierarchies(root) for p in h.glob(f"{prefix}*") if p.is_dir()}
