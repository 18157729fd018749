"""The lab's Lightsail without a lab: its records, against a daemon that a test plays."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from chronos_ops.lab.emulator import lightsail
from chronos_ops.lab.emulator.hosts import HostError, Hosts, NoSuchHost
from chronos_ops.lab.emulator.lightsail_core import Lightsail, LightsailError
from chronos_ops.lab.emulator.lightsail_state import State

KEY = "ssh-rsa " + base64.b64encode(b"\0\0\0\x07ssh-rsa" + b"\1" * 20).decode()
NEW = {
    "instanceNames": ["drill"],
    "availabilityZone": "ca-central-1a",
    "blueprintId": "debian_12",
    "bundleId": "small_3_0",
}


class Daemon:
    """Plays the lab's daemon."""

    def __init__(self) -> None:
        self.hosts: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.broken = ""

    def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        self.asked.append((op, arguments))
        if op == "list":
            return {"hosts": list(self.hosts.values())}
        if op == self.broken:
            raise HostError("no room")
        if op == "reserve_address":
            return {"address": "10.9.9.200"}
        if op == "create":
            host = {"address": "10.9.9.10", "state": "running", "host_keys": [KEY], **arguments}
            self.hosts[arguments["name"]] = host
            return host
        if op == "open_ports":
            self.hosts[arguments["name"]]["ports"] = arguments["ports"]
            return self.hosts[arguments["name"]]
        if op in ("start", "stop", "kill", "reboot", "delete"):
            return self._change(op, arguments["name"])
        return {}

    def _change(self, op: str, name: str) -> dict[str, Any]:
        if name not in self.hosts:
            raise NoSuchHost(name)
        if op == "delete":
            return self.hosts.pop(name)
        self.hosts[name]["state"] = "stopped" if op in ("stop", "kill") else "running"
        return self.hosts[name]


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def lab(daemon: Daemon, tmp_path: Path) -> Lightsail:
    return opened(tmp_path, daemon)


def opened(folder: Path, daemon: Daemon) -> Lightsail:
    state = State(folder / "lightsail.json", "123456789012", "ca-central-1")
    return Lightsail(state, cast(Hosts, daemon))


def _call(lab: Lightsail, operation: str, **arguments: Any) -> dict[str, Any]:
    """One call, over JSON as on the wire."""
    return cast(
        dict[str, Any],
        json.loads(json.dumps(lightsail.call(lab, operation, json.loads(json.dumps(arguments))))),
    )


def finished(lab: Lightsail, answer: dict[str, Any]) -> dict[str, Any]:
    [begun] = answer["operations"]
    operation: dict[str, Any] = begun

    def over() -> bool:
        nonlocal operation
        operation = _call(lab, "GetOperation", operationId=begun["id"])["operation"]
        return bool(operation["isTerminal"])

    _wait(over)
    return operation


def _wait(over: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not over():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_an_instance_is_a_host_of_the_bundle_s_size(lab: Lightsail, daemon: Daemon) -> None:
    _call(lab, "ImportKeyPair", keyPairName="k", publicKeyBase64=KEY)
    tags = [{"key": "chronos:run", "value": "r1"}]
    answer = _call(lab, "CreateInstances", **NEW, keyPairName="k", userData="echo", tags=tags)
    assert finished(lab, answer)["status"] == "Succeeded"
    created = dict(daemon.asked)["create"]
    assert created["memory_bytes"] == 2 * 1024**3
    assert created["disk_bytes"] == 60 * 1024**3
    seen = (created["image"], created["user"], created["user_data"])
    assert seen == ("bare-bookworm", "admin", "echo")
    assert created["authorized_keys"] == [KEY]
    assert created["tags"] == {"chronos:run": "r1"}
    instance = _call(lab, "GetInstance", instanceName="drill")["instance"]
    assert instance["state"] == {"code": 16, "name": "running"}
    assert instance["publicIpAddress"] == "10.9.9.10"
    assert instance["tags"] == tags


def test_a_host_that_cannot_be_made_fails_the_operation(lab: Lightsail, daemon: Daemon) -> None:
    daemon.broken = "create"
    operation = finished(lab, _call(lab, "CreateInstances", **NEW))
    assert operation["status"] == "Failed"
    assert "no room" in operation["errorDetails"]
    assert _call(lab, "GetInstances")["instances"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"blueprintId": "windows_95"},
        {"bundleId": "huge_9_9"},
        {"availabilityZone": "us-east-1a"},
        {"instanceNames": ["-"]},
        {"instanceNames": []},
        {"userData": "x" * 20000},
    ],
)
def test_bad_input_is_refused_before_a_host_is_made(
    lab: Lightsail, daemon: Daemon, wrong: dict[str, Any]
) -> None:
    with pytest.raises(LightsailError) as caught:
        _call(lab, "CreateInstances", **(NEW | wrong))
    assert caught.value.code == "InvalidInputException"
    assert "create" not in dict(daemon.asked)


def test_a_name_is_taken_once(lab: Lightsail) -> None:
    finished(lab, _call(lab, "CreateInstances", **NEW))
    with pytest.raises(LightsailError, match="already in use"):
        _call(lab, "CreateInstances", **NEW)


def test_what_is_not_there_is_not_found(lab: Lightsail) -> None:
    for operation, argument in (
        ("GetInstance", "instanceName"),
        ("DeleteInstance", "instanceName"),
        ("GetKeyPair", "keyPairName"),
        ("GetStaticIp", "staticIpName"),
        ("GetOperation", "operationId"),
    ):
        with pytest.raises(LightsailError) as caught:
            _call(lab, operation, **{argument: "nope"})
        assert caught.value.code == "NotFoundException"


def test_the_declared_host_is_an_instance_with_its_static_address(
    lab: Lightsail, daemon: Daemon
) -> None:
    daemon.hosts["db"] = {
        "name": "db",
        "address": "10.9.9.5",
        "static_ip": "10.9.9.201",
        "state": "running",
        "user": "admin",
        "bundle": "small_3_0",
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    [instance] = _call(lab, "GetInstances")["instances"]
    assert (instance["publicIpAddress"], instance["isStaticIp"]) == ("10.9.9.201", True)
    assert instance["createdAt"] == 1767225600.0
    [static] = _call(lab, "GetStaticIps")["staticIps"]
    assert (static["ipAddress"], static["attachedTo"]) == ("10.9.9.201", "db")


def test_a_static_address_moves_between_instances(lab: Lightsail, daemon: Daemon) -> None:
    for name in ("one", "two"):
        finished(lab, _call(lab, "CreateInstances", **(NEW | {"instanceNames": [name]})))
    _call(lab, "AllocateStaticIp", staticIpName="ip")
    _call(lab, "AttachStaticIp", staticIpName="ip", instanceName="one")
    with pytest.raises(LightsailError, match="attached to one"):
        _call(lab, "AttachStaticIp", staticIpName="ip", instanceName="two")
    _call(lab, "DetachStaticIp", staticIpName="ip")
    _call(lab, "AttachStaticIp", staticIpName="ip", instanceName="two")
    mapped = [arguments for op, arguments in daemon.asked if op == "map_address"]
    assert mapped[-1] == {"name": "two", "static_ip": "10.9.9.200"}
    with pytest.raises(LightsailError, match="still attached"):
        _call(lab, "ReleaseStaticIp", staticIpName="ip")


def test_states_are_the_host_s_own(lab: Lightsail, daemon: Daemon) -> None:
    finished(lab, _call(lab, "CreateInstances", **NEW))
    finished(lab, _call(lab, "StopInstance", instanceName="drill"))
    assert _call(lab, "GetInstanceState", instanceName="drill")["state"]["name"] == "stopped"
    finished(lab, _call(lab, "StartInstance", instanceName="drill"))
    assert _call(lab, "GetInstanceState", instanceName="drill")["state"]["name"] == "running"
    daemon.hosts["drill"]["state"] = "stopped"  # it died by itself
    assert _call(lab, "GetInstanceState", instanceName="drill")["state"]["name"] == "stopped"
    finished(lab, _call(lab, "DeleteInstance", instanceName="drill"))
    assert daemon.hosts == {}
    with pytest.raises(LightsailError, match="does not exist"):
        _call(lab, "GetInstance", instanceName="drill")


def test_a_busy_instance_takes_no_second_change(lab: Lightsail) -> None:
    finished(lab, _call(lab, "CreateInstances", **NEW))
    lab.named("Instance", "drill")["_transition"] = "stopping"
    with pytest.raises(LightsailError) as caught:
        _call(lab, "DeleteInstance", instanceName="drill")
    assert caught.value.code == "OperationFailureException"


def test_records_outlive_the_emulator_and_stuck_changes_do_not(
    lab: Lightsail, daemon: Daemon, tmp_path: Path
) -> None:
    finished(lab, _call(lab, "CreateInstances", **NEW))
    with lab.state.changing():
        lab.named("Instance", "drill")["_transition"] = "stopping"
    again = opened(tmp_path, daemon)
    assert _call(again, "GetInstanceState", instanceName="drill")["state"]["name"] == "running"
    assert (tmp_path / "lightsail.json").stat().st_mode & 0o777 == 0o600


def test_host_keys_carry_their_fingerprints(lab: Lightsail) -> None:
    finished(lab, _call(lab, "CreateInstances", **NEW))
    details = _call(lab, "GetInstanceAccessDetails", instanceName="drill")["accessDetails"]
    [key] = details["hostKeys"]
    assert f"{key['algorithm']} {key['publicKey']}" == KEY
    assert key["fingerprintSHA256"].startswith("SHA256:")
    assert (details["username"], details["ipAddress"]) == ("admin", "10.9.9.10")


@pytest.mark.parametrize("text", [KEY, base64.b64encode(KEY.encode()).decode()])
def test_a_public_key_is_taken_plain_or_encoded(lab: Lightsail, text: str) -> None:
    _call(lab, "ImportKeyPair", keyPairName="k", publicKeyBase64=text)
    assert lab.named("KeyPair", "k")["_public_line"] == KEY
    assert "_public_line" not in _call(lab, "GetKeyPair", keyPairName="k")["keyPair"]


@pytest.mark.parametrize("text", ["ssh-ed25519 AAAA", "garbage", "ssh-rsa !!", "ssh-rsa QUFBQQ=="])
def test_other_keys_are_refused(lab: Lightsail, text: str) -> None:
    with pytest.raises(LightsailError, match="ssh-rsa"):
        _call(lab, "ImportKeyPair", keyPairName="k", publicKeyBase64=text)


def test_the_firewall_s_list_is_what_was_put(lab: Lightsail) -> None:
    finished(lab, _call(lab, "CreateInstances", **NEW))
    ports = [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrs": ["10.0.0.0/8"]}]
    _call(lab, "PutInstancePublicPorts", instanceName="drill", portInfos=ports)
    https = {"fromPort": 443, "toPort": 443, "protocol": "tcp"}
    _call(lab, "OpenInstancePublicPorts", instanceName="drill", portInfo=https)
    states = _call(lab, "GetInstancePortStates", instanceName="drill")["portStates"]
    assert [(p["fromPort"], p["cidrs"]) for p in states] == [
        (22, ["10.0.0.0/8"]),
        (443, ["0.0.0.0/0"]),
    ]
    _call(lab, "CloseInstancePublicPorts", instanceName="drill", portInfo=https)
    states = _call(lab, "GetInstancePortStates", instanceName="drill")["portStates"]
    assert [p["fromPort"] for p in states] == [22]


def test_iam_judges_by_the_instance_s_tags(lab: Lightsail) -> None:
    tags = [{"key": "chronos:run", "value": "r1"}]
    arn, context = lightsail.judged_by(lab, "CreateInstances", {**NEW, "tags": tags})
    assert context == {"aws:RequestTag/chronos:run": "r1", "aws:TagKeys": ["chronos:run"]}
    assert arn.startswith("arn:aws:lightsail:ca-central-1:123456789012:Instance/")
    finished(lab, _call(lab, "CreateInstances", **NEW, tags=tags))
    arn, context = lightsail.judged_by(lab, "DeleteInstance", {"instanceName": "drill"})
    assert arn == lab.named("Instance", "drill")["arn"]
    assert context == {"aws:ResourceTag/chronos:run": "r1"}


def test_tags_are_added_and_removed(lab: Lightsail) -> None:
    finished(lab, _call(lab, "CreateInstances", **NEW))
    tags = [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]
    _call(lab, "TagResource", resourceName="drill", tags=tags)
    _call(lab, "UntagResource", resourceName="drill", tagKeys=["a"])
    assert lab.named("Instance", "drill")["tags"] == [{"key": "b", "value": "2"}]
