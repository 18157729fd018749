"""Hosts are machines: their sizes, their lives, and that one does not feel another's."""

import shlex
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from chronos_ops.lab import control
from chronos_ops.lab.control import LabError, LabStatus
from chronos_ops.model.settings import load_settings
from tests.lab.conftest import Host, Shell
from tests.lab.waiting import until

FreshHost = Callable[..., Host]


def test_the_declared_host_is_a_cloud_instance_with_a_cluster(lab: LabStatus, shell: Shell) -> None:
    assert shell("db", "id -un; sudo -n id -un").stdout.split() == ["admin", "root"]
    clusters = shell("db", "pg_lsclusters --no-header").stdout.split()
    assert clusters[:4] == ["17", "main", "5432", "online"]
    settings = load_settings(lab.name)
    assert settings.host.instance == "project-chronos"
    assert settings.host.address == lab.host("db")["address"]
    assert settings.disposable


def test_memory_and_disk_are_the_hosts_own(fresh_host: FreshHost, shell: Shell) -> None:
    fresh_host("sized", memory_bytes=700 * 1024**2, disk_bytes=1024**3)
    total = int(shell("sized", "free -m | awk '/Mem:/ {print $2}'").stdout)
    assert total == 700
    size = int(shell("sized", "df --output=size -BM / | tail -n 1 | tr -d M").stdout)
    assert 900 < size < 1024
    full = shell("sized", "dd if=/dev/zero of=/var/tmp/fill bs=1M", check=False)
    assert "No space left on device" in full.stderr
    shell("sized", "sudo rm /var/tmp/fill")
    take = "sudo systemd-run --wait python3 -c 'b = bytearray({} * 1024**2)'"
    assert shell("sized", take.format(300)).returncode == 0
    assert "status=9/KILL" in shell("sized", take.format(900), check=False).stderr


def test_a_service_killed_on_one_host_lives_on_the_other(
    fresh_host: FreshHost, shell: Shell
) -> None:
    one, two = (fresh_host(name)["name"] for name in ("one", "two"))
    pid = "systemctl show --property MainPID --value rsyslog"
    before = {name: shell(name, pid).stdout.strip() for name in (one, two)}
    assert "0" not in before.values()
    shell(one, "sudo systemctl kill --signal KILL rsyslog")
    until(lambda: shell(one, pid).stdout.strip() != before[one], "killed on the first")
    assert shell(two, pid).stdout.strip() == before[two]


def test_power_failure_keeps_the_disk_and_is_abrupt(
    lab: LabStatus, fresh_host: FreshHost, shell: Shell
) -> None:
    host = fresh_host("struck")
    hook = "sudo systemd-run --quiet --unit=witness --property=ExecStop='touch /clean' sleep 600"
    shell("struck", f"{hook}; echo kept | sudo tee /kept >/dev/null; sync")
    killed = control.request(lab.name, "kill", name="struck")
    assert killed["state"] == "stopped"
    again = control.request(lab.name, "start", name="struck")
    assert again["boots"] == 2
    assert again["host_keys"] == host["host_keys"]
    assert shell("struck", "cat /kept").stdout == "kept\n"
    assert shell("struck", "test -e /clean", check=False).returncode == 1


def test_a_killed_hosts_network_ends_with_it(
    lab: LabStatus, fresh_host: FreshHost, shell: Shell
) -> None:
    """A killed process's socket that has something to send keeps its network for minutes; the
    next host has the same addresses."""
    with socket.create_server((lab.gateway, 0)) as server:
        port = server.getsockname()[1]
        sends = f"import socket; s = socket.create_connection(('{lab.gateway}', {port})); "
        sends += "s.sendall(bytes(10**8))"
        former = fresh_host("former")
        shell("former", f"sudo systemd-run --quiet python3 -c {shlex.quote(sends)}")
        server.settimeout(20)
        with server.accept()[0] as unread:
            assert unread.recv(1) == b"\0"
            card = ["ip", "link", "show", f"vb-{lab.name}.{former['slug']}"]
            assert subprocess.run(card, capture_output=True).returncode == 0
            control.request(lab.name, "delete", name="former")
            assert b"does not exist" in subprocess.run(card, capture_output=True).stderr
            following = fresh_host("following")
            assert following["address"] == former["address"]
            assert shell("following", "hostname").stdout == "following\n"


def test_stop_is_a_clean_shutdown(lab: LabStatus, fresh_host: FreshHost, shell: Shell) -> None:
    fresh_host("stopped")
    hook = "sudo systemd-run --quiet --unit=witness --property=ExecStop='touch /clean' sleep 600"
    shell("stopped", hook)
    assert control.request(lab.name, "stop", name="stopped")["state"] == "stopped"
    control.request(lab.name, "start", name="stopped")
    assert shell("stopped", "test -e /clean").returncode == 0


def test_reboot_from_inside(lab: LabStatus, fresh_host: FreshHost, shell: Shell) -> None:
    fresh_host("rebooted")
    boot = shell("rebooted", "cat /proc/1/stat | cut -d' ' -f22").stdout
    shell("rebooted", "sudo systemctl reboot", check=False)

    def is_back() -> bool:
        info = control.request(lab.name, "info", name="rebooted")
        return (info["boots"], info["state"]) == (2, "running")

    until(is_back, "booted again")
    assert shell("rebooted", "cat /proc/1/stat | cut -d' ' -f22").stdout != boot
    assert int(shell("rebooted", "free -m | awk '/Mem:/ {print $2}'").stdout) == 512


def test_user_data_runs_once_and_says_when_it_is_done(
    lab: LabStatus, fresh_host: FreshHost, shell: Shell
) -> None:
    fresh_host("told", user_data="echo told; date +%s%N >> /ran")
    done = "test -e /var/lib/cloud/instance/boot-finished"
    until(lambda: shell("told", done, check=False).returncode == 0, "first boot finished")
    assert shell("told", "sudo cat /var/log/cloud-init-output.log").stdout == "told\n"
    control.request(lab.name, "reboot", name="told")
    assert len(shell("told", "cat /ran").stdout.split()) == 1


def test_what_was_told_at_creation_is_told_back(lab: LabStatus, fresh_host: FreshHost) -> None:
    fresh_host("tagged", tags={"chronos:run": "x"}, metadata={"a": [1]}, bundle="small_3_0")
    told = control.request(lab.name, "info", name="tagged")
    assert told["tags"] == {"chronos:run": "x"}
    assert (told["metadata"], told["bundle"]) == ({"a": [1]}, "small_3_0")
    assert told["name"] in {host["name"] for host in control.hosts(lab.name)}


def test_each_host_has_its_own_identity(
    lab: LabStatus, fresh_host: FreshHost, shell: Shell
) -> None:
    one, two = fresh_host("one"), fresh_host("two")
    assert one["machine_id"] != two["machine_id"]
    assert not set(one["host_keys"]) & set(two["host_keys"])
    assert shell("one", "cat /etc/machine-id").stdout.strip() == one["machine_id"]
    booted = shell("one", "systemctl is-system-running --wait", check=False).stdout.strip()
    assert booted == "running", shell("one", "systemctl --failed").stdout
    assert shell("one", "ls /usr/lib/postgresql", check=False).returncode != 0


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"op": "info", "name": "nobody"}, "unknown_host", "no such host"),
        ({"op": "create", "name": "db"}, "refused", "there is a host of that name"),
        ({"op": "create", "name": "../x"}, "refused", "not a host's name"),
        ({"op": "create", "name": "x", "image": "none"}, "failed", "unknown image"),
        ({"op": "create", "name": "x", "memory_bytes": 5}, "refused", "too small"),
        ({"op": "create", "name": "x", "colour": "red"}, "refused", "unknown argument"),
        ({"op": "dance"}, "refused", "not a request"),
    ],
)
def test_a_bad_request_is_refused_and_leaves_nothing(
    lab: LabStatus, arguments: dict[str, Any], kind: str, text: str
) -> None:
    before = control.hosts(lab.name)
    op = arguments.pop("op")
    with pytest.raises(LabError, match=text) as refusal:
        control.request(lab.name, op, **arguments)
    assert refusal.value.kind == kind
    assert [h["name"] for h in control.hosts(lab.name)] == [h["name"] for h in before]
