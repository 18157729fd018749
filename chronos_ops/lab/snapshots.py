"""Snapshots of hosts' disks: whole copies, as at one moment, kept under the lab's state.

A snapshot is independent of its host, and a host made from it of the snapshot: each has its own
file. What is copied is what is allocated: a 60 GB disk with 300 MB on it costs 300 MB.
"""

import datetime
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from chronos_ops.lab.disk import Disk, allocated
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.places import Places

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9])?")
LEAST_FREE = 2 * 1024**3  # what must be free on the machine beside a copy


@dataclass(frozen=True)
class Snapshot:
    """A copy of a host's disk, and the image that it lies over."""

    name: str
    file: str
    image: str
    disk_bytes: int
    layers: list[str] = field(default_factory=list)
    created_at: str = ""

    def shown(self) -> dict[str, Any]:
        """The snapshot as clients see it."""
        return asdict(self) | {"allocated_bytes": allocated(Path(self.file))}


class Snapshots:
    """Those of one lab. Any thread may call; LabError is what a client gets to see."""

    def __init__(
        self, places: Places, known: list[dict[str, Any]], save: Callable[[], None]
    ) -> None:
        self.folder = places.folder / "snapshots"
        self._save = save
        self._guard = threading.RLock()
        kept = [Snapshot(**item) for item in known]
        self._known = {s.name: s for s in kept if Path(s.file).is_file()}
        files = {s.file for s in self._known.values()}
        for path in self.folder.glob("*"):  # of a copy that was not finished
            if str(path) not in files:
                path.unlink()

    def records(self) -> list[dict[str, Any]]:
        """What is to be remembered."""
        with self._guard:
            return [asdict(s) for s in self._known.values()]

    def take(self, name: str, image: str, layers: list[str], disk: Disk) -> Snapshot:
        """Copy a host's disk as it is at this moment; a running host's writes wait meanwhile."""
        if not _NAME.fullmatch(name):
            raise LabError("not a snapshot's name", repr(name), kind="refused")
        if name in self._known:
            raise LabError("there is a snapshot of that name", repr(name), kind="refused")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        require_room(self.folder, allocated(disk.file))
        file = self.folder / f"{uuid4().hex}.img"
        try:
            disk.copy_to(file)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        size = disk.file.stat().st_size
        now = datetime.datetime.now(datetime.UTC).isoformat()
        taken = Snapshot(name, str(file), image, size, layers, now)
        with self._guard:
            self._known[name] = taken
            self._save()
        return taken

    def find(self, name: str) -> Snapshot:
        """By name. Raises LabError(unknown_snapshot)."""
        with self._guard:
            if name in self._known:
                return self._known[name]
            known = ", ".join(self._known) or "none"
            hint = f"there is: {known}"
            raise LabError(
                "no such snapshot in this lab", repr(name), hint=hint, kind="unknown_snapshot"
            )

    def delete(self, name: str) -> dict[str, Any]:
        """Its file goes; hosts made from it stay."""
        with self._guard:
            gone = self.find(name)
            del self._known[name]
            self._save()
            Path(gone.file).unlink(missing_ok=True)
        return {}

    def shown(self) -> dict[str, Any]:
        with self._guard:
            return {"snapshots": [s.shown() for s in self._known.values()]}


def require_room(folder: Path, needed: int = 0) -> None:
    """Raises LabError where the machine's disk has no room for `needed` bytes and some spare."""
    free = shutil.disk_usage(folder).free
    if free < needed + LEAST_FREE:
        wanted = f"{free / 1024**3:.1f} GiB free, {(needed + LEAST_FREE) / 1024**3:.1f} needed"
        raise LabError("not enough disk space for a host or its snapshot", wanted)
