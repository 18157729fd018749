"""The lab's network: packages by apt, static addresses, and no way out."""

import socket
import time
from collections.abc import Callable

from chronos_ops.lab import control, doors
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
        fresh_host(name, ports=[doors.port(22), doors.port(8000)])
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


def test_only_what_lightsail_lets_through_reaches_a_host(
    lab: LabStatus, fresh_host: FreshHost, shell: Shell
) -> None:
    """From this machine and from another host, IPv4 and IPv6; an open connection stays open."""
    ports = [doors.port(22), doors.port(8000) | {"cidrs": [f"{lab.gateway}/32"], "ipv6Cidrs": []}]
    host = fresh_host("walled", ports=ports)
    serve = "sudo systemd-run --quiet --unit=web-$p python3 -m http.server --bind :: $p"
    shell("walled", f"for p in 8000 8001; do {serve}; done")
    shell("walled", "timeout 20 sh -c 'until curl -sf localhost:8001 >&2; do sleep 0.1; done'")
    v4, v6 = host["address"], host["address6"]
    here = {(a, p): _knocked(a, p) for a in (v4, v6) for p in (22, 8000, 8001)}
    assert [where for where, answered in here.items() if answered] == [
        (v4, 22), (v4, 8000), (v6, 22)
    ]  # fmt: skip
    knock = "for a in {} {}; do for p in 22 8000; do "
    knock += 'timeout 2 bash -c "</dev/tcp/$a/$p" && echo $a $p; done; done; true'
    assert shell("db", knock.format(v4, v6)).stdout.split("\n")[:-1] == [f"{v4} 22", f"{v6} 22"]
    with socket.create_connection((v4, 8000), 3) as pipe:
        control.request(lab.name, "open_ports", name="walled", ports=[doors.port(22)])
        assert not _knocked(v4, 8000)
        pipe.sendall(b"GET /etc/hostname HTTP/1.0\r\n\r\n")
        assert b"walled" in pipe.makefile("rb").read()


def _knocked(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


def _fetch(address: str) -> str | None:
    try:
        with socket.create_connection((address, 8000), 3) as pipe:
            pipe.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
            return pipe.makefile().read().split()[-1]
    except OSError:
        return None
