"""The hosts of one lab and what they share: addresses, static addresses, what is injected."""

import json
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from ipaddress import IPv4Network
from typing import Any

from chronos_ops.lab import image as images
from chronos_ops.lab.doors import Doors, Port
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.first_boot import FirstBoot
from chronos_ops.lab.host import Host, Record
from chronos_ops.lab.network import (
    Network,
    choose_subnet,
    has_ipv6,
    taken_subnets,
    write_table,
)
from chronos_ops.lab.places import Places
from chronos_ops.lab.services import MIRROR_PORT
from chronos_ops.lab.snapshots import Snapshot, Snapshots

Answer = dict[str, Any]
_MIB = 1024**2
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9])?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass
class Memory:
    """What a lab remembers over the death of its daemon."""

    subnet: str = ""
    hosts: list[dict[str, Any]] = field(default_factory=list)
    mapped: dict[str, str] = field(default_factory=dict)  # static address: host's name
    reserved: list[str] = field(default_factory=list)
    extra_hosts: list[str] = field(default_factory=list)
    ca_certificates: list[str] = field(default_factory=list)
    authorized_keys: list[str] = field(default_factory=list)
    snapshots: list[dict[str, Any]] = field(default_factory=list)


class Fleet:
    """Every operation on hosts. Any thread may call; LabError is what a client gets to see."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self._file = places.folder / "lab.json"
        self._guard = threading.RLock()
        self.memory = self._load()
        if not self.memory.subnet:
            self.memory.subnet = str(choose_subnet(taken_subnets(places), places.lab))
        self.snapshots = Snapshots(places, self.memory.snapshots, self.save)
        self.network = Network(IPv4Network(self.memory.subnet), places.bridge, places.table)
        self.hosts = {
            item["name"]: Host(places, places.bridge, Record(**item), self.save)
            for item in self.memory.hosts
        }
        self._forget_lost()
        self.save()

    def _load(self) -> Memory:
        try:
            data = json.loads(self._file.read_text())
        except FileNotFoundError:
            return Memory()
        except ValueError:
            raise LabError(
                "the lab's records are damaged", self._file, hint="./chronos lab down"
            ) from None
        return Memory(**{f.name: data[f.name] for f in fields(Memory) if f.name in data})

    def save(self) -> None:
        with self._guard:
            self.memory.hosts = [asdict(host.record) for host in self.hosts.values()]
            self.memory.snapshots = self.snapshots.records()
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps(asdict(self.memory), indent=1))
            part.chmod(0o600)
            part.replace(self._file)

    def _forget_lost(self) -> None:
        """A host without its disk, or never finished, is none."""
        for name, host in list(self.hosts.items()):
            if not (host.disk.file.is_file() and host.record.created_at):
                del self.hosts[name]
        known = {host.folder for host in self.hosts.values()}
        for folder in (self.places.folder / "hosts").glob("*"):
            if folder not in known:
                shutil.rmtree(folder)

    def restore(self, progress: Callable[[str], None]) -> None:
        """After a daemon's death: what ran shall run, what was mapped shall be mapped."""
        self._write_table()
        for host in self.hosts.values():
            if host.record.wanted == "running":
                progress(f"booting {host.record.name} again")
                host.start(wait=False)

    def find(self, name: str) -> Host:
        """By name or alias. Raises LabError(unknown_host)."""
        with self._guard:
            for host in self.hosts.values():
                if name == host.record.name or name in host.record.aliases:
                    return host
            known = ", ".join(self.hosts) or "none"
            raise LabError(
                "no such host in this lab",
                repr(name),
                hint=f"there is: {known}",
                kind="unknown_host",
            )

    def create(
        self,
        name: str,
        image: str = "bare",
        memory_bytes: int = 2048 * _MIB,
        disk_bytes: int = 20 * 1024 * _MIB,
        user: str = "admin",
        user_data: str = "",
        authorized_keys: list[str] | None = None,
        extra_hosts: list[str] | None = None,
        address: str | None = None,
        snapshot: str = "",
        wait: bool = True,
        **told: Any,
    ) -> Answer:
        """Make a host, of an image or from a snapshot, and boot it."""
        source = self.snapshots.find(snapshot) if snapshot else None
        record = Record(
            name,
            "",
            "",
            source.image if source else image,
            int(memory_bytes),
            int(disk_bytes),
            user,
            **_described(told),
        )
        _judge(record, source)
        mirror = f"http://{self.network.gateway}:{MIRROR_PORT}"
        if source is None and not images.is_built(images.image(self.places, record.image)):
            images.ensure(self.places, mirror, print, record.image)  # of another suite
        host = self._enter(record, address)
        memory = self.memory
        first = FirstBoot(
            hostname=record.slug,
            address=f"{record.address}/{self.network.subnet.prefixlen}",
            address6=f"{record.address6}/64" if record.address6 else "",
            gateway=str(self.network.gateway),
            mirror=mirror,
            user=user,
            authorized_keys=tuple(authorized_keys or memory.authorized_keys),
            user_data=user_data,
            extra_hosts=(*memory.extra_hosts, *(extra_hosts or ())),
            ca_certificates=tuple(memory.ca_certificates),
        )
        try:
            with self._guard:
                self._write_table()
            host.create(first, source)
            host.start(wait=wait)
        except BaseException:
            self._drop(host)
            raise
        self.save()
        return self._shown(host)

    def _enter(self, record: Record, address: str | None) -> Host:
        """Give it a slug and an address, and a place among the hosts."""
        with self._guard:
            names = {n for h in self.hosts.values() for n in (h.record.name, *h.record.aliases)}
            clash = names & {record.name, *record.aliases}
            if clash:
                raise LabError("there is a host of that name", min(clash), kind="refused")
            taken = {h.record.address for h in self.hosts.values()}
            if address in taken:
                raise LabError("the address is another host's", address, kind="refused")
            record.slug = _slug(record.name, {h.record.slug for h in self.hosts.values()})
            record.address = address or self.network.free(taken)
            if has_ipv6():
                record.address6 = str(self.network.address6(record.address))
            host = Host(self.places, self.network.bridge, record, self.save)
            self.hosts[record.name] = host
            return host

    def _drop(self, host: Host) -> None:
        host.delete()
        with self._guard:
            self.hosts.pop(host.record.name, None)
            name = host.record.name
            self.memory.mapped = {s: n for s, n in self.memory.mapped.items() if n != name}
            self._write_table()
            self.save()

    def start(self, name: str, wait: bool = True) -> Answer:
        host = self.find(name)
        host.start(wait=wait)
        return self._shown(host)

    def stop(self, name: str) -> Answer:
        host = self.find(name)
        host.stop()
        return self._shown(host)

    def kill(self, name: str) -> Answer:
        host = self.find(name)
        host.kill()
        return self._shown(host)

    def reboot(self, name: str, wait: bool = True) -> Answer:
        host = self.find(name)
        host.stop()
        host.start(wait=wait)
        return self._shown(host)

    def delete(self, name: str) -> Answer:
        self._drop(self.find(name))
        return {}

    def snapshot(self, name: str, snapshot: str) -> Answer:
        """A copy of the host's disk, as of now."""
        return self.find(name).snapshot(self.snapshots, snapshot).shown()

    def list_hosts(self) -> Answer:
        with self._guard:
            return {"hosts": [self._shown(host) for host in self.hosts.values()]}

    def info(self, name: str) -> Answer:
        return self._shown(self.find(name))

    def tag(
        self, name: str, tags: dict[str, str] | None = None, metadata: Answer | None = None
    ) -> Answer:
        host = self.find(name)
        if tags is not None:
            host.record.tags = tags
        if metadata is not None:
            host.record.metadata = metadata
        self.save()
        return self._shown(host)

    def inject(self, **given: list[str]) -> Answer:
        """Lines of /etc/hosts, CA certificates (PEM), keys: for hosts created from now on."""
        with self._guard:
            for name in ("extra_hosts", "ca_certificates", "authorized_keys"):
                if name in given:
                    setattr(self.memory, name, list(given[name]))
            self.save()
        return {}

    def reserve_address(self) -> Answer:
        """A static address that is nobody's yet."""
        with self._guard:
            for host in range(200, 250):
                address = str(self.network.subnet[host])
                if address not in self.memory.reserved:
                    self.memory.reserved.append(address)
                    self.save()
                    return {"address": address}
        raise LabError("no static address left", self.network.subnet, kind="refused")

    def release_address(self, address: str) -> Answer:
        with self._guard:
            if address in self.memory.reserved:
                self.memory.reserved.remove(address)
                self.save()
        return {}

    def map_address(self, static_ip: str, name: str) -> Answer:
        """Make the static address reach that host, and no other any more."""
        host = self.find(name)
        with self._guard:
            if static_ip in {h.record.address for h in self.hosts.values()}:
                raise LabError("that is a host's own address", static_ip, kind="refused")
            self.memory.mapped[static_ip] = host.record.name
            self._write_table()
            self.save()
        return {"static_ip": static_ip, "name": host.record.name}

    def unmap_address(self, static_ip: str) -> Answer:
        with self._guard:
            self.memory.mapped.pop(static_ip, None)
            self._write_table()
            self.save()
        return {}

    def open_ports(self, name: str, ports: list[Port]) -> Answer:
        """What is let through to the host from now on; what is connected stays connected."""
        host = self.find(name)
        with self._guard:
            former, host.record.ports = host.record.ports, list(ports)
            try:
                self._write_table()
            except (LabError, KeyError, TypeError, ValueError) as error:
                host.record.ports = former
                raise LabError("not a list of ports", repr(error), kind="refused") from None
            self.save()
        return self._shown(host)

    def addresses(self) -> Answer:
        return dict(self.memory.mapped)

    def _write_table(self) -> None:
        by_name = {name: host.record.address for name, host in self.hosts.items()}
        pairs = self.memory.mapped.items()
        write_table(
            self.network,
            {s: by_name[name] for s, name in pairs if name in by_name},
            [
                Doors(host.record.address, host.record.address6, host.record.ports)
                for host in self.hosts.values()
            ],
        )

    def _shown(self, host: Host) -> Answer:
        mapped = self.memory.mapped.items()
        return host.shown(next((s for s, name in mapped if name == host.record.name), None))


def _described(told: Answer) -> Answer:
    known = {"aliases", "tags", "metadata", "bundle", "blueprint", "ports"}
    if unknown := set(told) - known:
        raise LabError("unknown argument of create", ", ".join(sorted(unknown)), kind="refused")
    return {name: value for name, value in told.items() if value is not None}


def _judge(record: Record, source: Snapshot | None) -> None:
    if not _NAME.fullmatch(record.name):
        raise LabError("not a host's name", repr(record.name), kind="refused")
    if not _USER.fullmatch(record.user):
        raise LabError("not a user's name", repr(record.user), kind="refused")
    if record.memory_bytes < 128 * _MIB or record.disk_bytes < 512 * _MIB:
        sizes = f"{record.memory_bytes} bytes of memory, {record.disk_bytes} of disk"
        raise LabError("too small for a host", sizes, kind="refused")
    if source is not None and record.disk_bytes < source.disk_bytes:
        sizes = f"{record.disk_bytes} bytes, the snapshot is of {source.disk_bytes}"
        raise LabError("the disk is smaller than the snapshot's", sizes, kind="refused")


def _slug(name: str, taken: set[str]) -> str:
    """The name as a hostname, a folder and a part of a cgroup's name."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "host"
    slug, number = plain, 1
    while slug in taken:
        number += 1
        slug = f"{plain}-{number}"
    return slug
