"""One run of a host: systemd-nspawn in cgroups of its own, from power on to power off."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from chronos_ops.lab import cgroups
from chronos_ops.lab.doors import PROBE_MARK
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.lxcfs import SHOWN, Lxcfs
from chronos_ops.lab.network import allow_hairpin, unplug
from chronos_ops.lab.run import run

REBOOTED = 133  # systemd-nspawn's exit code when the system inside asked for a reboot
_POWER_OFF = signal.SIGRTMIN + 4


@dataclass(frozen=True)
class Container:
    """How to run one host. `cgroup` and `machine` are its names on this machine."""

    machine: str
    cgroup: str
    hostname: str
    root: Path
    bridge: str
    memory_bytes: int
    lxcfs: Lxcfs
    log: Path

    def boot(self) -> "subprocess.Popen[bytes]":
        """Power on: returns once the first process of the system inside runs."""
        self.lxcfs.start()
        joins = cgroups.create(self.cgroup, self.memory_bytes)
        # The shell joins the cgroups before anything of the host exists outside of them.
        script = "".join(f"echo $$ > {path} && " for path in joins) + 'exec "$@"'
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                ["sh", "-c", script, "sh", *self._nspawn()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        try:
            self._show_own_size(self._leader(process))
        except OSError as error:  # it ended meanwhile
            raise LabError(f"{self.machine} did not boot", error, hint=f"see {self.log}") from None
        allow_hairpin(self.bridge)
        return process

    def _nspawn(self) -> list[str]:
        return [
            "systemd-nspawn",
            "--quiet",
            "--boot",
            f"--directory={self.root}",
            f"--machine={self.machine}",
            f"--hostname={self.hostname}",
            f"--network-bridge={self.bridge}",
            f"--bind={self.lxcfs.mount}:/run/lxcfs",
            "--register=no",
            "--keep-unit",
            "--private-users=no",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--console=pipe",
        ]

    def _leader(self, process: "subprocess.Popen[bytes]", deadline_seconds: float = 20) -> int:
        """The host's process 1, as this machine numbers it. Raises LabError if it never comes."""
        deadline = time.monotonic() + deadline_seconds
        while time.monotonic() < deadline and process.poll() is None:
            if (leader := self.leader(process)) is not None:
                return leader
            time.sleep(0.02)
        raise LabError(f"{self.machine} did not boot", _tail(self.log), hint=f"see {self.log}")

    def leader(self, process: "subprocess.Popen[bytes]") -> int | None:
        """The host's process 1, or None while there is none."""
        for pid in cgroups.members(self.cgroup):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                found = re.search(r"^NSpid:\s+(.*)$", status, re.MULTILINE)
                numbers = found[1].split() if found else []
                if len(numbers) == 2 and numbers[1] == "1" and pid != process.pid:
                    return pid
        return None

    def _show_own_size(self, leader: int, deadline_seconds: float = 10) -> None:
        """Only once the system inside is executed: until then nspawn still mounts its /proc."""
        deadline = time.monotonic() + deadline_seconds
        while Path(f"/proc/{leader}/comm").read_text().strip() not in {"systemd", "init"}:
            if time.monotonic() > deadline:
                raise LabError(f"{self.machine} does not execute its init", hint=f"see {self.log}")
            time.sleep(0.01)
        binds = [f"mount --bind /run/lxcfs/proc/{name} /proc/{name}" for name in SHOWN]
        run(["nsenter", "-t", str(leader), "-m", "sh", "-c", " && ".join(binds)])

    def power_off(self, process: "subprocess.Popen[bytes]") -> None:
        """Ask for a clean shutdown; it takes its time."""
        leader = self.leader(process)
        if leader is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(leader, _POWER_OFF)

    def power_failure(self) -> None:
        """SIGKILL to all of the host at once."""
        cgroups.kill(self.cgroup)

    def clear(self) -> None:
        """What a run leaves on this machine, whichever way it ended."""
        cgroups.kill(self.cgroup)
        unplug(self.machine)
        cgroups.remove(self.cgroup)
        self.lxcfs.stop()
        forget(self.machine)


def forget(machine: str) -> None:
    """nspawn's propagation folder and lock files: a killed nspawn leaves them."""
    propagate = Path("/run/systemd/nspawn/propagate") / machine
    if propagate.is_dir():
        shutil.rmtree(propagate)
    for lock in Path("/run/systemd/nspawn").glob(f"locks/*{machine}*"):
        lock.unlink(missing_ok=True)


def wait_for_ssh(address: str, deadline_seconds: float = 60) -> None:
    """Until sshd says its banner. Raises LabError."""
    deadline = time.monotonic() + deadline_seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.socket() as pipe:
            pipe.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, PROBE_MARK)  # whatever its ports
            pipe.settimeout(2)
            pipe.connect((address, 22))
            if pipe.recv(4) == b"SSH-":
                return
        time.sleep(0.05)
    raise LabError("no SSH server answers", f"{address}:22 for {deadline_seconds:.0f} s")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:].strip() if log.is_file() else ""
