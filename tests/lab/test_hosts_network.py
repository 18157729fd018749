"""The lab's network: packages by apt, static addresses, and no way out."""

import socket
import time
from collections.abc import Callable

from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from tests.lab.conftest import Host, Shell

FreshHost = Callable[..., Host]


def test_apt_installs_postgresql_on_a_bare_host(fresh_host: FreshHost, shell: Shell) -> None:
    fresh_host("bare", memory_bytes=2048 * 1024**2)
    assert shell("bare", "command -v psql", check=False).returncode == 1
    begun = time.monotonic()
    apt = "sudo DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq"
    shell("bare", f"{apt} update && {apt} install -y postgresql-17 pgbackrest >/tmp/apt.log 2>&1")
    print(f"apt-get update and install: {time.monotonic() - begun:.1f} s")
    assert shell("bare", "pg_lsclusters --no-header").stdout.split()[3] == "online"
    assert "pgBackRest" in shell("bare", "pgbackrest version").stdout


def test_hosts_reach_each_other_and_nothing_outside(
    lab: LabStatus, fresh_host: FreshHost, shell: Shell
) -> None:
    other = fresh_host("other")["address"]
    assert "SSH-2.0" in shell("db", f"timeout 5 bash -c 'head -c 7 </dev/tcp/{other}/22'").stdout
    outside = shell("db", "timeout 3 bash -c '</dev/tcp/192.0.2.1/80'", check=False)
    assert outside.returncode != 0
    answer = shell("db", "curl -sS --max-time 10 https://s3.chronos-lab.internal:4566/_lab/health")
    assert '"ready": true' in answer.stdout
    assert lab.gateway in shell("db", "cat /etc/hosts").stdout


def test_a_static_address_moves_from_host_to_host(
    lab: LabStatus, fresh_host: FreshHost, shell: Shell
) -> None:
    for name in ("first", "second"):
        fresh_host(name)
        serve = "python3 -m http.server --directory /etc 8000"
        shell(name, f"sudo systemd-run --quiet --unit=web {serve}")
        shell(name, "timeout 20 sh -c 'until curl -sf localhost:8000/hostname; do sleep 0.1; done'")
    address = control.request(lab.name, "reserve_address")["address"]
    ask = f"curl -sS --max-time 5 http://{address}:8000/hostname"

    control.request(lab.name, "map_address", static_ip=address, name="first")
    assert _fetch(address) == "first"
    assert shell("db", ask).stdout.strip() == "first"
    assert control.request(lab.name, "info", name="first")["static_ip"] == address

    control.request(lab.name, "map_address", static_ip=address, name="second")
    assert _fetch(address) == "second"
    assert shell("db", ask).stdout.strip() == "second"
    assert shell("second", ask).stdout.strip() == "second"

    control.request(lab.name, "delete", name="second")
    assert address not in control.request(lab.name, "addresses")
    assert _fetch(address) is None
    control.request(lab.name, "release_address", address=address)


def _fetch(address: str) -> str | None:
    try:
        with socket.create_connection((address, 8000), 3) as pipe:
            pipe.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
            return pipe.makefile().read().split()[-1]
    except OSError:
        return None
