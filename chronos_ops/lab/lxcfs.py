"""lxcfs shows a host its own memory where the kernel would show the whole machine's.

One per host and boot: it keeps state of the cgroups it has seen, and one that stumbled over a
dead host's made every later host hang. CPU figures stay the machine's for the same reason.
"""

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from chronos_ops.lab import cgroups
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.run import works

SHOWN = ("meminfo", "swaps", "uptime")


@dataclass
class Lxcfs:
    """`cgroup` is the lab's own, not the host's: the host's limit is not for it."""

    mount: Path
    cgroup: str
    log: Path
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    def start(self, deadline_seconds: float = 10) -> None:
        """Raises LabError if it shows nothing."""
        self.stop()
        self.mount.mkdir(parents=True, exist_ok=True)
        joins = cgroups.create_unlimited(self.cgroup)
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                ["sh", "-c", f'echo $$ > {joins} && exec "$@"', "sh", *self._lxcfs()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=out,
                env={"PATH": os.environ["PATH"]},
                start_new_session=True,
            )
        deadline = time.monotonic() + deadline_seconds
        while not (self.mount / "proc" / "meminfo").exists():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise LabError("lxcfs did not start", hint=f"see {self.log}")
            time.sleep(0.01)

    def _lxcfs(self) -> list[str]:
        return ["lxcfs", "-f", "-p", str(self.mount.with_suffix(".pid")), str(self.mount)]

    def stop(self) -> None:
        """End it and its mount, whatever state they are in."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            self._process = None
        if str(self.mount) in Path("/proc/self/mounts").read_text():
            works(["umount", "--lazy", self.mount])
