"""boto3 against the lab's Lightsail: real hosts come and go, and only as IAM allows."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution import provision
from chronos_ops.execution.provision import Provisioned
from chronos_ops.facts import lightsail
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import ChronosError, Refused, TransportError
from chronos_ops.model.instance import key_pair_name
from chronos_ops.model.settings import Settings, load_settings
from tests.lab.aws_callers import iam_user

RUN = "lightsail-test"


@pytest.fixture(scope="module")
def settings(lab: LabStatus) -> Settings:
    return load_settings(lab.name)


@pytest.fixture(scope="module")
def aws(settings: Settings) -> Aws:
    return Aws(settings.aws)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return provision.make_key(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="module")
def drill(aws: Aws, settings: Settings, key_file: Path) -> Iterator[Provisioned]:
    """One drill host for the tests that only look, or that put back what they change."""
    data = "#!/bin/sh\necho $(id -un) > /var/tmp/user-data\n"
    yield provision.provision(aws, settings, "looked-at", RUN, key_file, data)
    provision.destroy(aws, "looked-at", RUN)


def _instance(aws: Aws, name: str) -> lightsail.Instance | None:
    question = lightsail.instance(name).question
    return lightsail.instance(name).parse(aws.ask(question))  # type: ignore[arg-type]


def _state(aws: Aws, name: str) -> str:
    answer = aws.call("lightsail", "get_instance_state", instanceName=name)
    return str(answer["state"]["name"])


def _wait(what: str, look: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def _code(call: Callable[[], object]) -> str:
    with pytest.raises(AwsRefused) as caught:
        call()
    return caught.value.code


def test_a_drill_host_is_bare_of_its_size_and_ran_its_user_data(drill: Provisioned) -> None:
    with Ssh(drill.ssh_address()) as ssh:
        assert ssh.run(["cat", "/var/tmp/user-data"]).stdout.strip() == "root"
        assert ssh.run(["sudo", "-n", "id", "-un"]).stdout.strip() == "root"
        assert ssh.run(["cat", "/etc/machine-id"]).stdout.strip() == drill.machine_id
        megabytes = int(ssh.run(["free", "-m"]).stdout.split("Mem:")[1].split()[0])
        assert megabytes == 2048
        gigabytes = int(ssh.run(["df", "-BG", "--output=size", "/"]).stdout.split()[1].rstrip("G"))
        assert 55 <= gigabytes <= 60
        assert ssh.run(["sh", "-c", "command -v psql"], accept=(127, 1)).stdout == ""


def test_reported_host_keys_are_what_the_host_shows(drill: Provisioned, aws: Aws) -> None:
    seen = subprocess.run(
        ["ssh-keyscan", "-T", "10", drill.address], capture_output=True, text=True, check=True
    )
    shown = {line for line in seen.stdout.splitlines() if not line.startswith("#")}
    assert shown == set(drill.known_hosts)
    details = aws.call("lightsail", "get_instance_access_details", instanceName=drill.name)
    prints = {key["fingerprintSHA256"] for key in details["accessDetails"]["hostKeys"]}
    listed = subprocess.run(
        ["ssh-keygen", "-lf", "-"], input="\n".join(shown), capture_output=True, text=True
    )
    assert prints == {line.split()[1] for line in listed.stdout.splitlines()}


def test_a_host_with_other_keys_is_not_spoken_to(drill: Provisioned, lab: LabStatus) -> None:
    other = lab.host("db")["host_keys"]
    address = drill.ssh_address()
    wrong = tuple(f"{drill.address} {key}" for key in other)
    with pytest.raises(TransportError, match="another host key"):
        Ssh(address.__class__(**{**address.__dict__, "known_hosts": wrong})).open()


def test_the_firewall_is_closed_to_all_but_the_operators(
    drill: Provisioned, aws: Aws, settings: Settings
) -> None:
    answer = aws.call("lightsail", "get_instance_port_states", instanceName=drill.name)
    ports = [port for port in answer["portStates"] if port["state"] == "open"]
    assert {(port["fromPort"], port["toPort"]) for port in ports} == {(22, 22), (5432, 5432)}
    for port in ports:
        networks = (*port.get("cidrs", []), *port.get("ipv6Cidrs", []))
        assert (*networks, *port.get("cidrListAliases", [])) == settings.postgres.operator_networks


def test_the_reaper_finds_it(drill: Provisioned, aws: Aws) -> None:
    found = [i for i in provision.list_drill_instances(aws) if i.name == drill.name]
    assert [(i.run_id, i.address) for i in found] == [(RUN, drill.address)]
    assert 0 <= found[0].age_hours < 1


def test_another_run_may_not_destroy_it_nor_anybody_the_declared_host(
    drill: Provisioned, aws: Aws, settings: Settings
) -> None:
    declared = settings.host.instance
    for name in (drill.name, declared):
        with pytest.raises(Refused, match="was not made by run"):
            provision.destroy(aws, name, "another-run")
    for operation in ("delete_instance", "stop_instance"):
        denied = _code(partial(aws.call, "lightsail", operation, instanceName=declared))
        assert denied == "AccessDeniedException"
    assert _state(aws, declared) == "running"
    assert _state(aws, drill.name) == "running"


def test_rights_are_by_the_run_s_tag(drill: Provisioned, aws: Aws, tmp_path: Path) -> None:
    """The scheduled identity's policy (P1): instances only by tag."""
    read = {"Effect": "Allow", "Action": "lightsail:Get*", "Resource": "*"}
    stop = {
        "Effect": "Allow",
        "Action": ["lightsail:StopInstance", "lightsail:DeleteInstance"],
        "Resource": "arn:aws:lightsail:*:*:Instance/*",
        "Condition": {"StringEquals": {"aws:ResourceTag/chronos:run": "another-run"}},
    }
    make = {
        "Effect": "Allow",
        "Action": "lightsail:CreateInstances",
        "Resource": "*",
        "Condition": {"StringLike": {"aws:RequestTag/chronos:run": "another-*"}},
    }
    with iam_user(aws, "drill-by-tag", [read, stop, make], tmp_path) as caller:
        assert caller.call("lightsail", "get_instance", instanceName=drill.name)["instance"]
        arguments: dict[str, Any] = {
            "instanceNames": ["untagged"],
            "availabilityZone": "ca-central-1a",
            "blueprintId": "debian_13",
            "bundleId": "nano_3_0",
        }
        assert _code(lambda: caller.call("lightsail", "create_instances", **arguments)) == (
            "AccessDeniedException"
        )
        stopped = {"instanceName": drill.name}
        assert _code(lambda: caller.call("lightsail", "stop_instance", **stopped)) == (
            "AccessDeniedException"
        )
        tags = [{"key": "chronos:run", "value": "another-run"}]
        aws.call("lightsail", "tag_resource", resourceName=drill.name, tags=tags)
        try:
            caller.call("lightsail", "stop_instance", **stopped)
            _wait("it stops", lambda: _state(aws, drill.name) == "stopped")
        finally:
            tags = [{"key": "chronos:run", "value": RUN}]
            aws.call("lightsail", "tag_resource", resourceName=drill.name, tags=tags)
            aws.call("lightsail", "start_instance", instanceName=drill.name)
    _wait("it runs again", lambda: _state(aws, drill.name) == "running")
    _wait_for_ssh(drill)


def _wait_for_ssh(drill: Provisioned) -> None:
    def answers() -> bool:
        try:
            with Ssh(drill.ssh_address()):
                return True
        except TransportError:
            return False

    _wait("SSH answers", answers)


def test_a_reboot_is_a_new_boot_of_the_same_host(drill: Provisioned, aws: Aws) -> None:
    with Ssh(drill.ssh_address()) as ssh:
        before = ssh.run(["cat", "/proc/sys/kernel/random/boot_id", "/etc/machine-id"]).stdout
        started = ssh.run(["stat", "-c", "%Y", "/proc/1"]).stdout
    answer = aws.call("lightsail", "reboot_instance", instanceName=drill.name)
    [operation] = answer["operations"]

    def over() -> bool:
        found = aws.call("lightsail", "get_operation", operationId=operation["id"])["operation"]
        assert found["status"] != "Failed"
        return bool(found["isTerminal"])

    _wait("the reboot is over", over)
    _wait_for_ssh(drill)
    with Ssh(drill.ssh_address()) as ssh:
        assert ssh.run(["stat", "-c", "%Y", "/proc/1"]).stdout != started
        assert before.splitlines()[1] == ssh.run(["cat", "/etc/machine-id"]).stdout.strip()


def _static_ips(aws: Aws) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.call("lightsail", "get_static_ips")["staticIps"]
    return found


def test_a_static_address_leads_to_the_host_it_is_attached_to(drill: Provisioned, aws: Aws) -> None:
    aws.call("lightsail", "allocate_static_ip", staticIpName="moving")
    try:
        aws.call("lightsail", "attach_static_ip", staticIpName="moving", instanceName=drill.name)
        moving = {s["name"]: s for s in _static_ips(aws)}["moving"]
        assert moving["attachedTo"] == drill.name
        instance = _instance(aws, drill.name)
        assert instance is not None
        assert (instance.address, instance.is_static_ip) == (moving["ipAddress"], True)
        known = tuple(
            f"{moving['ipAddress']} {' '.join(line.split()[1:])}" for line in drill.known_hosts
        )
        address = drill.ssh_address()
        moved = {"host": moving["ipAddress"], "known_hosts": known}
        with Ssh(address.__class__(**{**address.__dict__, **moved})) as ssh:
            assert ssh.run(["cat", "/etc/machine-id"]).stdout.strip() == drill.machine_id
    finally:
        aws.call("lightsail", "detach_static_ip", staticIpName="moving")
        aws.call("lightsail", "release_static_ip", staticIpName="moving")
    instance = _instance(aws, drill.name)
    assert instance is not None
    assert (instance.address, instance.is_static_ip) == (drill.address, False)


def test_the_declared_host_is_an_instance_with_its_static_address(
    aws: Aws, settings: Settings
) -> None:
    instance = _instance(aws, settings.host.instance)
    assert instance is not None
    assert (instance.state, instance.bundle, instance.run_id) == ("running", "small_3_0", "")
    assert instance.is_static_ip
    attached = [s for s in _static_ips(aws) if s.get("attachedTo") == instance.name]
    assert instance.address in {s["ipAddress"] for s in attached}


def test_destroying_leaves_nothing(
    aws: Aws, settings: Settings, key_file: Path, lab: LabStatus
) -> None:
    name = "short-lived"
    made = provision.provision(aws, settings, name, RUN, key_file)
    with pytest.raises(Refused, match="exists already"):
        provision.provision(aws, settings, name, RUN, key_file)
    assert name in {host["name"] for host in control.hosts(lab.name)}
    provision.destroy(aws, name, RUN)
    assert name not in {host["name"] for host in control.hosts(lab.name)}
    assert _instance(aws, name) is None
    pair = {"keyPairName": key_pair_name(name, RUN)}
    assert _code(lambda: aws.call("lightsail", "get_key_pair", **pair)) == "NotFoundException"
    with pytest.raises(OSError, match=r"timed out|No route|refused"):
        socket.create_connection((made.address, 22), timeout=1)
    provision.destroy(aws, name, RUN)  # again: no error


def test_user_data_that_fails_is_not_passed_over(
    aws: Aws, settings: Settings, key_file: Path
) -> None:
    try:
        with pytest.raises(ChronosError, match="first boot of broken-boot failed"):
            provision.provision(aws, settings, "broken-boot", RUN, key_file, "#!/bin/sh\nexit 7\n")
    finally:
        provision.destroy(aws, "broken-boot", RUN)


@pytest.mark.parametrize(
    "wrong",
    [{"blueprintId": "windows_95"}, {"bundleId": "huge_9_9"}, {"availabilityZone": "us-east-1a"}],
)
def test_bad_input_is_an_invalid_input_exception(aws: Aws, wrong: dict[str, str]) -> None:
    arguments: dict[str, Any] = {
        "instanceNames": ["never-made"],
        "availabilityZone": "ca-central-1a",
        "blueprintId": "debian_13",
        "bundleId": "small_3_0",
    }
    call = arguments | wrong
    assert _code(lambda: aws.call("lightsail", "create_instances", **call)) == (
        "InvalidInputException"
    )
    assert _instance(aws, "never-made") is None


def test_what_the_lab_does_not_have_is_said(aws: Aws) -> None:
    assert _code(lambda: aws.call("lightsail", "get_disks")) == "UnknownOperationException"
