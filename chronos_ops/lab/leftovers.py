"""What a killed run left on this machine, found by the lab's name and cleared. As root.

A lab is alive while its daemon holds the lab's lock; a living lab is never touched, but for one
whose test run is dead: its own daemon ends it. Mounts need no search: the daemon has a mount
namespace of its own, which ends with the last process in it.
"""

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from chronos_ops.lab import cgroups, protocol
from chronos_ops.lab.container import forget
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.network import remove_bridge
from chronos_ops.lab.places import RUN, Places

# Labs that tests make for themselves, named after the process of the test run.
TEST_LABS = re.compile(r"test-(\d+)(-[a-z0-9-]+)?")


def clear(places: Places) -> list[str]:
    """End and remove all of this lab but its records and disks; the caller holds its lock."""
    found: list[str] = []
    prefix = f"{cgroups.PREFIX}{places.lab}."
    for name in sorted(cgroups.named(prefix)):
        found.append(f"cgroup {name}")
        cgroups.kill(name)
        cgroups.remove(name)
    for folder in Path("/run/systemd/nspawn/propagate").glob(f"{places.lab}.*"):
        found.append(f"folder {folder}")
        forget(folder.name)
    if Path("/sys/class/net", places.bridge).exists():
        found.append(f"bridge {places.bridge}")
    remove_bridge(places.bridge, places.table)
    shutil.rmtree(places.run, ignore_errors=True)
    return found


def purge(places: Places) -> list[str]:
    """As `clear`, and the records and disks too."""
    found = clear(places)
    if places.folder.is_dir():
        found.append(f"folder {places.folder}")
        shutil.rmtree(places.folder)
    return found


def shut_down(where: Places, deadline_seconds: float = 60) -> None:
    """End a living lab and remove it; a daemon that is only just starting is waited for.

    Raises LabError: it does not end.
    """
    deadline = time.monotonic() + deadline_seconds
    asked = False
    while is_alive(where):
        if not asked:
            try:
                protocol.call(where.socket, "shutdown", purge=True)
                asked = True
            except LabError as error:
                if error.kind != "unanswered":
                    raise
        if time.monotonic() > deadline:
            raise LabError("the lab's daemon does not end", where.pid_file, hint="see its log")
        time.sleep(0.05)


def purge_dead_test_labs(state: Path) -> list[str]:
    """Labs of test runs that are dead: nobody will ask for them again, their daemons live or not.

    What does not end is left alone: it is another lab's, and no reason to refuse this one.
    """
    names = {path.name for path in (state / "labs").glob("*")}
    names |= {path.name.removesuffix(".lock") for path in RUN.glob("*.lock")}
    names |= {
        name.removeprefix(cgroups.PREFIX).partition(".")[0]
        for name in cgroups.named("chronos-test-")
    }
    found: list[str] = []
    for name in sorted(names):
        run = TEST_LABS.fullmatch(name)
        if run and not Path("/proc", run[1]).exists():
            places = Places(name, state)
            with contextlib.suppress(LabError):
                shut_down(places)
            with try_lock(places) as held:
                if held:
                    found += purge(places)
    return found


@contextlib.contextmanager
def try_lock(places: Places) -> Iterator[bool]:
    """Hold the lab's lock, or say that somebody else does. The file goes with its holder."""
    RUN.mkdir(mode=0o755, exist_ok=True)
    while True:
        handle = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            yield False
            return
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == places.lock.stat().st_ino:
                break
        os.close(handle)  # its last holder removed it between our two steps
    try:
        yield True
    finally:
        places.lock.unlink(missing_ok=True)
        os.close(handle)


def is_alive(places: Places) -> bool:
    """A daemon holds this lab's lock. Needs no right but to read."""
    try:
        handle = os.open(places.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def traces(places: Places) -> list[str]:
    """What is there of this lab, without touching it; needs no root."""
    found = [str(p) for p in (places.run, places.lock, places.folder) if p.exists()]
    found += sorted(cgroups.named(f"{cgroups.PREFIX}{places.lab}."))
    if Path("/sys/class/net", places.bridge).exists():
        found.append(places.bridge)
    return found
