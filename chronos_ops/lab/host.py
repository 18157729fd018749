"""A host of the lab: its record, its disk, and its life from creation to deletion."""

import datetime
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chronos_ops.lab import cgroups
from chronos_ops.lab.container import REBOOTED, Container, forget, wait_for_ssh
from chronos_ops.lab.diagnosis import diagnose
from chronos_ops.lab.disk import Disk, allocated
from chronos_ops.lab.doors import Port, first_ports
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.first_boot import FirstBoot, prepare
from chronos_ops.lab.image import image
from chronos_ops.lab.lxcfs import Lxcfs
from chronos_ops.lab.network import forget_neighbour
from chronos_ops.lab.places import SERVICES, Places
from chronos_ops.lab.snapshots import Snapshot, Snapshots, require_room

_STOP_SECONDS = 90
_ANSWER_SECONDS = 60
_FIRST_ANSWER_SECONDS = 30  # a first boot takes 2 to 6 s, loaded machine included


@dataclass
class Record:
    """What is remembered of a host; also what a client is told."""

    name: str
    slug: str
    address: str
    image: str
    memory_bytes: int
    disk_bytes: int
    user: str
    address6: str = ""
    ports: list[Port] = field(default_factory=first_ports)  # what Lightsail lets through
    aliases: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    bundle: str | None = None
    blueprint: str | None = None
    host_keys: list[str] = field(default_factory=list)
    machine_id: str = ""
    layers: list[str] = field(default_factory=list)  # of the image it was made from
    created_at: str = ""
    boots: int = 0
    wanted: str = "running"  # what it shall be again after the daemon died


class Host:
    """One machine. Its methods may be called from any thread; they raise LabError."""

    def __init__(
        self, places: Places, bridge: str, record: Record, save: Callable[[], None]
    ) -> None:
        self.places = places
        self.record = record
        self.state = "stopped"
        self._save = save
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._ended.set()
        folder = places.folder / "hosts" / record.slug
        log = places.logs / f"{record.slug}.log"
        self.folder = folder
        self.disk = Disk(folder / "disk.img", folder / "disk", folder / places.machine(record.slug))
        self.container = Container(
            machine=places.machine(record.slug),
            cgroup=places.cgroup(record.slug),
            hostname=record.slug,
            root=self.disk.root,
            bridge=bridge,
            memory_bytes=record.memory_bytes,
            lxcfs=Lxcfs(folder / "lxcfs", places.cgroup(SERVICES), places.logs / "lxcfs.log"),
            log=log,
        )

    def shown(self, static_ip: str | None = None) -> dict[str, Any]:
        """The host as clients see it."""
        return asdict(self.record) | {"state": self.state, "static_ip": static_ip}

    def create(self, first: FirstBoot, snapshot: Snapshot | None = None) -> None:
        """Make the disk, empty or from a snapshot, and what is on it; nothing is booted."""
        copied = allocated(Path(snapshot.file)) if snapshot else 0
        require_room(self.places.folder, copied)
        with self._lock:
            if snapshot is None:
                layers = image(self.places, self.record.image).layers
                self.record.layers = [str(layer) for layer in layers]
                self.disk.make(self.record.disk_bytes)
            else:
                self.record.layers = list(snapshot.layers)
                self.disk.fill_from(Path(snapshot.file), self.record.disk_bytes)
            self.disk.attach(self._layers())
            self.record.machine_id, self.record.host_keys = prepare(self.disk.root, first)
            self.record.created_at = datetime.datetime.now(datetime.UTC).isoformat()

    def snapshot(self, snapshots: Snapshots, name: str) -> Snapshot:
        """Copy its disk as it is now, running or not."""
        with self._lock:
            return snapshots.take(name, self.record.image, self.record.layers, self.disk)

    def start(self, *, wait: bool = True) -> None:
        """Power on; with `wait` until its SSH server answers."""
        with self._lock:
            if self.state == "stopped":
                self._boot()
                self._remember("running")
        if wait:
            self.wait_until_up()

    def wait_until_up(self) -> None:
        """Until its SSH server answers. Raises LabError.

        A new host that stays dumb is looked into, and powered off and on once, as an operator
        would: rarely (not once in 400 boots of a loaded machine) one never comes up.
        """
        first = self.record.boots <= 1
        try:
            wait_for_ssh(self.record.address, _FIRST_ANSWER_SECONDS if first else _ANSWER_SECONDS)
        except LabError as error:
            seen = self._seen()
            if not first:
                raise LabError(error.noun, f"{error.value}\n{seen[-3000:]}") from None
            self.kill()
            self.start(wait=False)
            self.wait_until_up()
        with self._lock:
            if self.state == "starting":
                self.state = "running"

    def _seen(self) -> str:
        """What the dumb host looks like; kept in the lab's logs, also when the host is deleted."""
        process = self._process
        leader = self.container.leader(process) if process else None
        seen = diagnose(cgroups.members(self.container.cgroup), leader)
        with (self.places.logs / "no-answer.log").open("a", encoding="utf-8") as out:
            out.write(f"{self.record.name} {self.record.address}, did not answer:\n{seen}\n")
        return seen

    def _boot(self) -> None:
        self.disk.attach(self._layers())
        self.state = "starting"
        forget_neighbour(self.container.bridge, self.record.address)
        try:
            process = self.container.boot()
        except LabError:
            self._settle()
            raise
        self.record.boots += 1
        self._process = process
        self._ended.clear()
        name = f"host-{self.record.slug}"
        threading.Thread(target=self._watch, args=(process,), name=name, daemon=True).start()
        threading.Thread(target=self._greet, args=(process,), name=name, daemon=True).start()

    def _greet(self, process: "subprocess.Popen[bytes]") -> None:
        """`running` means that its SSH server answers."""
        try:
            wait_for_ssh(self.record.address, deadline_seconds=120)
        except LabError:
            return  # it boots and has no SSH server; clients see `starting`
        with self._lock:
            if self._process is process and self.state == "starting":
                self.state = "running"

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        code = process.wait()
        with self._lock:
            if self._process is not process:
                return
            rebooted = code == REBOOTED and self.state in {"starting", "running"}
            if rebooted:
                self.container.clear()
                self._boot()
                self._save()
            else:
                self._settle()

    def _settle(self) -> None:
        """After its end, whichever it was: nothing of it is left but its disk's file."""
        self._process = None
        try:
            self.container.clear()
            self.disk.detach()
        finally:
            self.state = "stopped"
            self._ended.set()

    def stop(self) -> None:
        """A clean shutdown, as by the power button; after 90 s the power is cut."""
        with self._lock:
            process = self._begin_end()
            if process is not None:
                self.container.power_off(process)
        if not self._ended.wait(_STOP_SECONDS):
            self.container.power_failure()
            self._wait_ended()

    def kill(self) -> None:
        """A power failure. The disk stays as it was at that moment."""
        with self._lock:
            self._begin_end()
            self.container.power_failure()
        self._wait_ended()

    def end_with_lab(self) -> None:
        """As a power failure, but it is remembered whether it ran."""
        with self._lock:
            if self._process is not None:
                self.state = "stopping"
            self.container.power_failure()
        self._wait_ended()

    def _begin_end(self) -> "subprocess.Popen[bytes] | None":
        if self._process is not None:
            self.state = "stopping"
        self._remember("stopped")
        return self._process

    def _wait_ended(self) -> None:
        if not self._ended.wait(20):
            raise LabError(f"{self.record.name} was killed and does not end")

    def delete(self) -> None:
        """Power failure, then its disk and records are gone."""
        self.kill()
        with self._lock:
            self.disk.delete()
            shutil.rmtree(self.folder, ignore_errors=True)
            self.container.log.unlink(missing_ok=True)
            cgroups.remove(self.container.cgroup)
            forget(self.container.machine)

    def _remember(self, wanted: str) -> None:
        self.record.wanted = wanted
        self._save()

    def _layers(self) -> list[Path]:
        layers = [Path(layer) for layer in self.record.layers]
        missing = [str(layer) for layer in layers if not layer.is_dir()]
        if missing:
            hint = f"./chronos lab down {self.places.lab}, then up"
            raise LabError("the image of a host is gone", missing[0], hint=hint)
        return layers
