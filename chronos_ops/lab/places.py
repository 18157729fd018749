"""Where a lab keeps its things, and how they are named: everything carries the lab's name."""

import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from chronos_ops.lab.errors import LabImpossible

# Machine-wide, whatever the state root: bridges, cgroups and locks are machine-wide too.
RUN = Path("/run/chronos-lab")
SERVICES = "_services"  # in the place of a host's slug, which never begins so
_LAB_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?")


def state_root() -> Path:
    """Images, package cache and disks; CHRONOS_LAB_STATE sets another place."""
    return Path(os.environ.get("CHRONOS_LAB_STATE") or "/var/lib/chronos-lab")


def user_root() -> Path:
    """The operator's own files of all labs (keys, AWS profile); CHRONOS_LAB_USER_STATE moves it."""
    given = os.environ.get("CHRONOS_LAB_USER_STATE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "chronos-ops"


@dataclass(frozen=True)
class Places:
    """The paths and kernel names of one lab."""

    lab: str
    state: Path

    @property
    def run(self) -> Path:
        return RUN / self.lab

    @property
    def lock(self) -> Path:
        return RUN / f"{self.lab}.lock"

    @property
    def socket(self) -> Path:
        return self.run / "control.sock"

    @property
    def pid_file(self) -> Path:
        return self.run / "daemon.pid"

    @property
    def folder(self) -> Path:
        """Records and disks of this lab's hosts."""
        return self.state / "labs" / self.lab

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def images(self) -> Path:
        return self.state / "images"

    @property
    def packages(self) -> Path:
        return self.state / "packages"

    @property
    def user(self) -> Path:
        return user_root() / "labs" / self.lab

    @property
    def bridge(self) -> str:
        """Interface names end at 15 characters."""
        return f"chr{zlib.crc32(self.lab.encode()):08x}"

    @property
    def table(self) -> str:
        """Name of the nftables table."""
        return f"chronos_{self.lab.replace('-', '_')}"

    def machine(self, slug: str) -> str:
        """Name of a host's container, unique on this machine."""
        return f"{self.lab}.{slug}"

    def cgroup(self, slug: str) -> str:
        return f"chronos-{self.machine(slug)}"


def places(lab: str, state: Path | None = None) -> Places:
    """The places of a lab. Raises LabImpossible for a name that cannot be one."""
    if not _LAB_NAME.fullmatch(lab):
        raise LabImpossible(
            "not a lab's name", repr(lab), hint="lower-case letters, digits and -, at most 24"
        )
    return Places(lab, state or state_root())
