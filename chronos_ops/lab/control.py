"""A lab from outside: up, down, status, logs, ssh. As the operator; the daemon alone is root."""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos_ops.lab import acme, aws, checkpoint, leftovers, protocol, target
from chronos_ops.lab.errors import LabError, LabImpossible
from chronos_ops.lab.places import Places, places, state_root

__all__ = [
    "LabError",
    "LabImpossible",
    "LabStatus",
    "down",
    "hosts",
    "keep",
    "logs",
    "put_back",
    "request",
    "ssh",
    "status",
    "up",
]

Progress = Callable[[str], None]
_ROOT = Path(__file__).resolve().parents[2]
_AWS_PORT = 4566
_ELSEWHERE = (
    "the runbooks work on any Debian VM instead: copy parameters/production.example.yaml to"
    " parameters/NAME.yaml, then ./chronos run RUNBOOK --target NAME"
)
_PROGRAMS = "systemd-nspawn ip nft lxcfs mmdebstrap mkfs.ext4 unshare setpriv nsenter ssh-keygen"
_GIB = 1024**3
# A fresh host with PostgreSQL, as its package leaves it: each makes a cluster of its own.
_MAKE_CLUSTER = """#!/bin/sh
version=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
exec pg_createcluster --start "$version" main -- --no-sync
"""


@dataclass(frozen=True)
class LabStatus:
    """A lab that is up. `hosts` as in protocol.py; `parameters` is its target's file."""

    name: str
    gateway: str
    subnet: str
    endpoint_url: str
    user_dir: Path
    parameters: Path
    hosts: tuple[dict[str, Any], ...]
    services: dict[str, dict[str, Any]]
    complete: bool  # the declared host and AWS are there: `up` has nothing to do

    def host(self, name: str) -> dict[str, Any]:
        """By name or alias. Raises LabError."""
        for host in self.hosts:
            if name == host["name"] or name in host["aliases"]:
                return host
        raise LabError("no such host in this lab", repr(name), kind="unknown_host")


def request(lab: str, op: str, /, **arguments: Any) -> dict[str, Any]:
    """One operation of the lab's daemon (protocol.py). Raises LabError."""
    arguments.setdefault("timeout_seconds", 900 if op == "create" else 180)  # it may build an image
    return protocol.call(places(lab).socket, op, **arguments)


def hosts(name: str) -> list[dict[str, Any]]:
    """The hosts of a lab that is up. Raises LabError."""
    found: list[dict[str, Any]] = request(name, "list")["hosts"]
    return found


def status(name: str = "lab") -> LabStatus | None:
    """What is there, or None if this lab is not up."""
    where = places(name)
    if not leftovers.is_alive(where):
        return None
    try:
        told = request(name, "ping")
        services, present = request(name, "services"), hosts(name)
    except LabError as error:
        if error.kind == "unanswered":
            return None
        raise
    lab_aws = aws.describe(where.user, told["gateway"], _AWS_PORT)
    file = target.parameters_file(where)
    declared = [h for h in present if h["name"] == target.INSTANCE and h["state"] == "running"]
    serving = services.get("aws", {}).get("running", False)
    return LabStatus(
        name=name,
        gateway=told["gateway"],
        subnet=told["subnet"],
        endpoint_url=lab_aws.endpoint_url,
        user_dir=where.user,
        parameters=file,
        hosts=tuple(present),
        services=services,
        complete=bool(declared) and serving and file.is_file(),
    )


def up(name: str = "lab", *, progress: Progress | None = None) -> LabStatus:
    """Bring the lab up, or what is missing of it. Two at once: the second waits for the first.

    Raises LabImpossible (exit 2; nothing was touched) and LabError.
    """
    where = places(name)
    tell = progress or _silent
    before = status(name)
    if before is not None and before.complete:
        return before
    check_machine()
    where.user.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (where.user / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _start_daemon(where, tell)
        return _furnish(where, tell)


def _silent(text: str) -> None:
    """Nobody wants to hear it."""


def _furnish(where: Places, tell: Progress) -> LabStatus:
    """All that the operator's side adds to a running daemon; each step only if it is missing."""
    name = where.lab
    told = request(name, "ping")
    gateway = told["gateway"]
    public_key = target.make_operator(where)
    argv, env = aws.emulator_command(where.user, gateway, _AWS_PORT, name, where.socket)
    lab_aws = aws.describe(where.user, gateway, _AWS_PORT)
    if not request(name, "services").get("aws", {}).get("running"):
        tell(f"starting AWS on {lab_aws.endpoint_url}")
        request(name, "serve", name="aws", argv=argv, env=env)
    request(
        name,
        "inject",
        extra_hosts=[f"{gateway} {aws.S3_NAME}", f"{gateway} {acme.NAME}"],
        ca_certificates=[lab_aws.ca_file.read_text(encoding="ascii")],
        authorized_keys=[public_key],
    )
    _declared_host(name, tell)
    aws.bootstrap(where.user, gateway, _AWS_PORT)
    present = hosts(name)
    known_hosts = target.write_known_hosts(where, present)
    host = next(h for h in present if h["name"] == target.INSTANCE)
    lab_acme = _acme(where, told, host["address"])
    _wait_for_first_boot(where, host, known_hosts)
    target.write_parameters(where, lab_aws, lab_acme, host, told["subnet"], known_hosts)
    after = status(name)
    if after is None or not after.complete:
        raise LabError("the lab did not come up whole", hint=f"./chronos lab logs --name {name}")
    tell(f"the lab {name!r} is up: {host['name']} at {host['address']}")
    return after


def _acme(where: Places, told: dict[str, Any], address: str) -> acme.LabAcme | None:
    """The ACME service, where its programs could be had; every name is the declared host's."""
    state = Path(told["state"])
    if not acme.installed(state):
        return None
    lab_acme = acme.describe(where.user, told["gateway"])
    running = request(where.lab, "services")
    if not all(running.get(service, {}).get("running") for service in acme.SERVICES):
        directory = acme.directory_command(lab_acme, state)
        names = acme.names_command(lab_acme, state, address)
        for service, (argv, env) in zip(acme.SERVICES, (directory, names), strict=True):
            request(where.lab, "serve", name=service, argv=argv, env=env)
    acme.fetch_root(lab_acme)
    return lab_acme


def _declared_host(name: str, tell: Progress) -> None:
    present = {host["name"]: host for host in hosts(name)}
    if target.INSTANCE not in present:
        tell(f"creating the host {target.INSTANCE} ({target.DB}): 2 GiB of memory, 60 GiB of disk")
        request(
            name,
            "create",
            name=target.INSTANCE,
            aliases=[target.DB],
            image="db",
            memory_bytes=2 * _GIB,
            disk_bytes=60 * _GIB,
            user=target.USER,
            user_data=_MAKE_CLUSTER,
            bundle="small_3_0",
            blueprint="debian_13",
        )
        static = request(name, "reserve_address")["address"]
        request(name, "map_address", static_ip=static, name=target.INSTANCE)
    else:
        request(name, "start", name=target.INSTANCE)


def _wait_for_first_boot(where: Places, host: dict[str, Any], known_hosts: Path) -> None:
    """As on AWS: the host answers before its first boot is done."""
    marker = "/var/lib/cloud/instance/boot-finished"
    loop = f"for i in $(seq 600); do [ -e {marker} ] && exit 0; sleep 0.1; done; exit 1"
    if target.ssh(where, host, known_hosts, [loop]) != 0:
        raise LabError(
            "the first boot of the host did not finish",
            host["name"],
            hint="see /var/log/cloud-init-output.log on it",
        )


def down(name: str = "lab", *, progress: Progress | None = None) -> None:
    """End the lab and remove all of it: hosts, disks, network, keys, parameter file.

    Raises LabError: something of it would not go.
    """
    where = places(name)
    tell = progress or _silent
    if leftovers.is_alive(where):
        tell(f"ending the lab {name!r}")
        leftovers.shut_down(where)
    if leftovers.traces(where):
        check_machine()
        for line in _as_root(where, "purge"):
            for text in line.get("cleared", []):
                tell(f"cleared what a killed run left: {text}")
    shutil.rmtree(where.user, ignore_errors=True)
    target.parameters_file(where).unlink(missing_ok=True)
    if left := leftovers.traces(where):
        raise LabError("of this lab there is left", ", ".join(left))


def keep(name: str, *, progress: Progress | None = None) -> LabStatus:
    """Keep the lab as it is now, for `put_back`; it is up again afterwards. Raises LabError."""
    return _around(name, checkpoint.keep, progress)


def put_back(name: str, *, progress: Progress | None = None) -> LabStatus:
    """Make the lab what it was when it was kept. Raises LabError: it never was."""
    checkpoint.require(places(name))
    return _around(name, checkpoint.put_back, progress)


def _around(
    name: str,
    deed: Callable[[Places, Callable[[str], object]], None],
    progress: Progress | None,
) -> LabStatus:
    """Do it while the lab is paused."""

    def as_root(what: str) -> None:
        if not any("kept" in line for line in _as_root(where, what)):
            raise LabError("somebody else holds this lab", name, hint="is another `lab up` at it?")

    where = places(name)
    if not leftovers.is_alive(where):
        raise LabError("no such lab is up", repr(name), hint=f"./chronos lab up --name {name}")
    checkpoint.pause(where)
    deed(where, as_root)
    return up(name, progress=progress)


def logs(name: str = "lab", *, follow: bool = False) -> Iterator[str]:
    """The lines of all its logs, each with its file's name; `follow`: for as long as it is up."""
    folder = places(name).logs
    if not folder.is_dir():
        raise LabError("no such lab is up", repr(name), hint="./chronos lab up")
    seen: dict[Path, int] = {}
    while True:
        quiet = True
        for path in sorted(folder.glob("*.log")):
            with contextlib.suppress(OSError), path.open(errors="replace") as file:
                file.seek(seen.get(path, 0))
                for line in file:
                    quiet = False
                    yield f"{path.stem}: {line.rstrip()}"
                seen[path] = file.tell()
        if not follow or (quiet and not folder.is_dir()):
            return
        if quiet:
            time.sleep(0.2)


def ssh(name: str, host: str, *command: str) -> int:
    """A shell (or `command`) on a host of the lab; its exit code. Raises LabError."""
    present = status(name)
    if present is None:
        raise LabError("the lab is not up", repr(name), hint="./chronos lab up")
    where = places(name)
    known_hosts = target.write_known_hosts(where, present.hosts)
    return target.ssh(where, present.host(host), known_hosts, list(command))


def check_machine() -> None:
    """Raises LabImpossible naming what a lab lacks here; touches nothing."""
    if platform.system() != "Linux":
        raise LabImpossible("a lab needs Linux", f"this is {platform.system()}", hint=_ELSEWHERE)
    missing = [p for p in _PROGRAMS.split() if not shutil.which(p, path=_search_path())]
    if missing:
        raise LabImpossible(
            "programs of the lab are missing",
            ", ".join(missing),
            hint="./chronos lab up installs them with apt-get (see `./chronos lab up --help`)",
        )
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise LabImpossible("a lab needs root, and there is no sudo here", hint=_ELSEWHERE)
    elif not _may_mount():
        raise LabImpossible(
            "a lab needs CAP_SYS_ADMIN, which this container does not have", hint=_ELSEWHERE
        )


def _search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _may_mount() -> bool:
    """CAP_SYS_ADMIN is bit 21 of the effective capabilities."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> 21 & 1)
    return False


def _start_daemon(where: Places, tell: Progress, deadline_seconds: float = 900) -> None:
    """Unless it runs. One that is only just starting (or ending) is waited for."""
    deadline = time.monotonic() + deadline_seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(LabError):
            protocol.call(where.socket, "ping", timeout_seconds=5)
            return
        for line in _as_root(where, "run", tell):
            if "error" in line:
                kind = LabImpossible if line.get("exit_status") == 2 else LabError
                noun = str(line.get("noun", line["error"]))
                raise kind(noun, line.get("value"), hint=str(line.get("hint", "")))
        time.sleep(0.1)
    raise LabError("the lab's daemon does not answer", where.socket)


def _as_root(where: Places, deed: str, tell: Progress | None = None) -> list[dict[str, Any]]:
    """Run the daemon's program as root, with one sudo if need be; the lines that it told."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "--prompt=[sudo] the lab needs root for %u@%h: "]
    argv = [
        *sudo,
        "env",
        f"PATH={_search_path()}",
        "unshare",
        "--mount",
        "--propagation",
        "private",
    ]
    argv += [sys.executable, "-B", "-m", "chronos_ops.lab.daemon", deed, "--lab", where.lab]
    argv += ["--state", str(state_root()), "--owner", str(os.getuid())]
    told: list[dict[str, Any]] = []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        for line in process.stdout or ():
            told.append(json.loads(line))
            if tell and "progress" in told[-1]:
                tell(told[-1]["progress"])
    if process.returncode != 0 and not told:
        raise LabError(
            "the lab's daemon could not be started",
            f"exit code {process.returncode}",
            hint="see the message above",
        )
    return told
