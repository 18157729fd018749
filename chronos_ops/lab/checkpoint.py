"""A lab as it was at one moment: kept beside it, and put back as often as one likes.

The power is cut for its hosts, as at any end of a lab; what lies on their disks and what its AWS
has written is the state. Both copies go with the lab.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from chronos_ops.lab import leftovers, protocol
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.places import Places
from chronos_ops.lab.run import run

KEPT = "checkpoint"
_AWS = "aws"  # the operator's side: what the emulator keeps
_PARTS = ("hosts", "lab.json")  # root's side: disks, and who is who
_COPY_SECONDS = 600
_END_SECONDS = 60.0


def pause(places: Places) -> None:
    """End a lab's daemon and leave its records and disks. Raises LabError."""
    protocol.call(places.socket, "shutdown", purge=False)
    deadline = time.monotonic() + _END_SECONDS
    while leftovers.is_alive(places):
        if time.monotonic() > deadline:
            raise LabError("the lab's daemon does not end", places.pid_file, hint="see its log")
        time.sleep(0.05)


def keep(places: Places, as_root: Callable[[str], object]) -> None:
    """Copy what a paused lab is. `as_root` runs a deed of the daemon's program."""
    as_root("keep")
    _copy(places.user, places.user / KEPT, (_AWS,))


def require(places: Places) -> None:
    """Something was kept of it, or LabError."""
    if not (places.user / KEPT).is_dir():
        hint = f"./chronos lab keep --name {places.lab}"
        raise LabError("this lab has no checkpoint", places.lab, hint=hint)


def put_back(places: Places, as_root: Callable[[str], object]) -> None:
    """Make a paused lab what it was."""
    as_root("put-back")
    _copy(places.user / KEPT, places.user, (_AWS,))


def keep_disks(places: Places) -> None:
    """Root's part of `keep`; the caller holds the lab's lock."""
    _copy(places.folder, places.folder / KEPT, _PARTS)


def put_disks_back(places: Places) -> None:
    """Root's part of `put_back`; the caller holds the lab's lock."""
    _copy(places.folder / KEPT, places.folder, _PARTS)


def _copy(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """Whole and sparse, in the place of what was there."""
    target.mkdir(exist_ok=True, mode=0o700)
    for name in names:
        old = target / name
        if old.is_dir():
            shutil.rmtree(old)
        copy: list[str | Path] = ["cp", "--archive", "--sparse=always"]
        run([*copy, source / name, target], timeout_seconds=_COPY_SECONDS)
