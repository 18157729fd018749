"""What a new host gets before its first boot: name, address, keys, user, package source, user data.

Written by root into the root directory of a host that is not running: one that never ran, or a copy
of one that did (a snapshot). There, as cloud-init does for a new instance id: other SSH host keys,
the user data run again, the keys added to those that are there; the machine id stays, as on AWS.
"""

import ipaddress
import os
import secrets
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chronos_ops.lab.image import KEYRING
from chronos_ops.lab.run import run, works


@dataclass(frozen=True)
class FirstBoot:
    """Everything that makes one host differ from the next."""

    hostname: str
    address: str  # with prefix length
    gateway: str
    mirror: str  # base address of the lab's package mirror
    address6: str = ""  # with prefix length; "": none
    user: str = "admin"
    authorized_keys: tuple[str, ...] = ()
    user_data: str = ""
    extra_hosts: tuple[str, ...] = ()  # lines of /etc/hosts
    ca_certificates: tuple[str, ...] = field(default=(), repr=False)  # PEM


def prepare(root: Path, first: FirstBoot) -> tuple[str, list[str]]:
    """Write it all; the machine id and the public host keys."""
    machine_id = (root / "etc/machine-id").read_text().strip() or secrets.token_hex(16)
    _write(root / "etc/machine-id", f"{machine_id}\n")
    _write(root / "etc/hostname", f"{first.hostname}\n")
    names = [f"127.0.0.1 localhost\n127.0.1.1 {first.hostname}\n::1 localhost ip6-localhost"]
    _write(root / "etc/hosts", "\n".join([*names, *first.extra_hosts]) + "\n")
    _write(
        root / "etc/systemd/network/10-host0.network",
        _NETWORK.format(first=first, mac=_mac(first.address))
        + (_NETWORK6.format(first=first) if first.address6 else ""),
    )
    sources = _SOURCES.format(mirror=first.mirror, suite=_suite(root), keyring=KEYRING)
    _write(root / "etc/apt/sources.list.d/debian.sources", sources)
    _write(root / "etc/apt/apt.conf.d/90-languages", 'Acquire::Languages "none";\n')
    _trust(root, first.ca_certificates)
    _make_user(root, first)
    _set_user_data(root, first.user_data)
    for old in (root / "etc/ssh").glob("ssh_host_*"):
        old.unlink()
    run(["ssh-keygen", "-A", "-f", root])
    keys = sorted((root / "etc/ssh").glob("ssh_host_*_key.pub"))
    return machine_id, [" ".join(path.read_text().split()[:2]) for path in keys]


_NETWORK = """[Match]
Name=host0

[Link]
MACAddress={mac}

[Network]
Address={first.address}
Gateway={first.gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
# Without a search for duplicates, which would keep a new host from answering for a second or two.
_NETWORK6 = """
[Address]
Address={first.address6}
DuplicateAddressDetection=none
"""

_SOURCES = """Types: deb
URIs: {mirror}/debian
Suites: {suite} {suite}-updates
Components: main
Signed-By: {keyring}

Types: deb
URIs: {mirror}/debian-security
Suites: {suite}-security
Components: main
Signed-By: {keyring}
"""


def _suite(root: Path) -> str:
    lines = (root / "etc/os-release").read_text(encoding="utf-8").splitlines()
    return next(text for line in lines if (text := line.removeprefix("VERSION_CODENAME=")) != line)


def _mac(address: str) -> str:
    """The same for the same address: a new host there is found where the last one was."""
    packed = ipaddress.IPv4Interface(address).ip.packed
    return "02:c5:" + ":".join(f"{byte:02x}" for byte in packed)


def _trust(root: Path, certificates: Sequence[str]) -> None:
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    known = bundle.read_text(encoding="ascii") if bundle.is_file() else ""
    for number, pem in enumerate(certificates, 1):
        _write(root / f"usr/local/share/ca-certificates/lab-{number}.crt", pem)
        if pem in known:
            continue
        with bundle.open("a", encoding="ascii") as out:
            out.write(pem)


def _make_user(root: Path, first: FirstBoot) -> None:
    user = shlex.quote(first.user)
    if not works(["chroot", root, "id", "-u", first.user]):
        run(["chroot", root, "useradd", "-m", "-s", "/bin/bash", "-G", "adm,sudo", first.user])
    _write(
        root / "etc/sudoers.d/90-cloud-init-users", f"{first.user} ALL=(ALL) NOPASSWD:ALL\n", 0o440
    )
    folder = root / "home" / first.user / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / "authorized_keys"
    there = file.read_text().splitlines() if file.is_file() else []
    wanted = dict.fromkeys([*there, *(key.strip() for key in first.authorized_keys)])
    _write(file, "".join(f"{key}\n" for key in wanted), 0o600)
    run(["chroot", root, "chown", "-R", f"{user}:", f"/home/{first.user}/.ssh"])


_RUNNER = """#!/bin/sh
# Runs the user data once, as cloud-init does, and says when it is done.
cd /
status=0
if [ -s "$0-user-data" ]; then "$0-user-data" || status=$?; fi
error=$([ $status = 0 ] || printf '"user data: exit %s"' $status)
printf '{"v1": {"errors": [%s]}}\\n' "$error" > /var/lib/cloud/instance/result.json
date -u +%FT%TZ > /var/lib/cloud/instance/boot-finished
exit $status
"""

_UNIT = """[Unit]
Description=Run the user data at the first boot
Wants=network-online.target
After=network-online.target ssh.service
ConditionPathExists=!/var/lib/cloud/instance/boot-finished

[Service]
Type=oneshot
Environment=HOME=/root LANG=C.UTF-8
ExecStart=/var/lib/cloud/instance/first-boot
StandardOutput=append:/var/log/cloud-init-output.log
StandardError=inherit
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""


def _set_user_data(root: Path, user_data: str) -> None:
    if user_data and not user_data.startswith("#!"):
        user_data = f"#!/bin/sh\n{user_data}"
    folder = root / "var/lib/cloud/instance"
    for done in ("boot-finished", "result.json"):
        (folder / done).unlink(missing_ok=True)
    _write(folder / "first-boot", _RUNNER, 0o755)
    _write(folder / "first-boot-user-data", user_data, 0o700)
    unit = root / "etc/systemd/system/cloud-final.service"
    _write(unit, _UNIT)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / unit.name).unlink(missing_ok=True)
    (wants / unit.name).symlink_to(f"/etc/systemd/system/{unit.name}")


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
    path.chmod(stat.S_IMODE(mode))
