"""Instance snapshots through boto3: a host comes back from one with its disk and new keys."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.lab.places import places
from chronos_ops.lab.snapshots import Snapshots
from chronos_ops.model.settings import load_settings

pytestmark = pytest.mark.lab
Shell = Callable[..., Any]
ZONE = "ca-central-1a"


@pytest.fixture
def aws(lab: LabStatus) -> Aws:
    return Aws(load_settings(lab.name).aws)


@pytest.fixture
def made(lab: LabStatus, aws: Aws) -> Iterator[list[str]]:
    """Names of snapshots and instances that a test makes; gone after it."""
    names: list[str] = []
    yield names
    for snapshot in aws.call("lightsail", "get_instance_snapshots")["instanceSnapshots"]:
        if snapshot["name"] in names:
            finished(aws, "delete_instance_snapshot", instanceSnapshotName=snapshot["name"])
    for host in control.hosts(lab.name):
        if host["name"] in names:
            control.request(lab.name, "delete", name=host["name"])


def finished(aws: Aws, operation: str, **arguments: Any) -> None:
    """Call, and wait for its operations."""
    deadline = time.monotonic() + 120
    for begun in aws.call("lightsail", operation, **arguments)["operations"]:
        while True:
            asked = aws.call("lightsail", "get_operation", operationId=begun["id"])["operation"]
            if asked["isTerminal"]:
                break
            assert time.monotonic() < deadline, asked
            time.sleep(0.1)
        assert asked["status"] == "Succeeded", asked


def take(aws: Aws, source: str, name: str) -> dict[str, Any]:
    finished(
        aws,
        "create_instance_snapshot",
        instanceName=source,
        instanceSnapshotName=name,
        tags=[{"key": "purpose", "value": "test"}],
    )
    asked = aws.call("lightsail", "get_instance_snapshot", instanceSnapshotName=name)
    found: dict[str, Any] = asked["instanceSnapshot"]
    return found


def from_snapshot(aws: Aws, snapshot: str, name: str, bundle: str, **more: Any) -> None:
    finished(
        aws,
        "create_instances_from_snapshot",
        instanceNames=[name],
        availabilityZone=ZONE,
        bundleId=bundle,
        instanceSnapshotName=snapshot,
        **more,
    )


def test_a_host_from_a_snapshot_has_the_disk_and_keys_of_its_own(
    lab: LabStatus, aws: Aws, shell: Shell, made: list[str]
) -> None:
    made += ["source", "kept", "copy"]
    arguments = {"availabilityZone": ZONE, "blueprintId": "debian_13", "bundleId": "nano_3_0"}
    finished(aws, "create_instances", instanceNames=["source"], **arguments)
    shell("source", "echo before > note")
    shell("source", "sudo rm /etc/fail2ban/fail2ban.conf")  # whiteouts must come along
    shell("source", "nohup sh -c 'while :; do date >> busy; done' >/dev/null 2>&1 &")
    taken = take(aws, "source", "kept")
    assert (taken["state"], taken["sizeInGb"], taken["fromBundleId"]) == (
        "available",
        20,
        "nano_3_0",
    )
    assert taken["fromInstanceName"] == "source"
    shell("source", "echo after > note")  # not frozen any more, and not in the copy
    data = "#!/bin/sh\necho again > /var/tmp/user-data\n"
    from_snapshot(aws, "kept", "copy", "micro_3_0", userData=data)
    assert shell("copy", "cat note").stdout == "before\n"
    assert shell("copy", "hostname").stdout == "copy\n"
    assert shell("copy", "ls /etc/fail2ban/fail2ban.conf", check=False).returncode != 0
    hosts = {host["name"]: host for host in control.hosts(lab.name)}
    assert not set(hosts["copy"]["host_keys"]) & set(hosts["source"]["host_keys"])
    assert hosts["copy"]["address"] != hosts["source"]["address"]
    size = shell("copy", "df -BG --output=size / | tail -1").stdout.strip()
    assert 36 <= int(size.rstrip("G")) <= 40  # grown to the larger bundle
    deadline = time.monotonic() + 30
    while shell("copy", "cat /var/tmp/user-data", check=False).stdout != "again\n":
        assert time.monotonic() < deadline, "the user data was not run again"
    # the snapshot may go while hosts made from it live, and is gone from the disk then
    finished(aws, "delete_instance_snapshot", instanceSnapshotName="kept")
    assert list((places(lab.name).folder / "snapshots").glob("*")) == []
    shell("copy", "sudo sync && cat note busy >/dev/null")


def test_aws_s_refusals(lab: LabStatus, aws: Aws, made: list[str]) -> None:
    made += ["stopped", "large", "small-copy"]
    control.request(
        lab.name,
        "create",
        name="stopped",
        memory_bytes=512 * 1024**2,
        disk_bytes=40 * 1024**3,
        bundle="micro_3_0",
    )
    control.request(lab.name, "stop", name="stopped")
    assert take(aws, "stopped", "large")["sizeInGb"] == 40

    def code(operation: str, **arguments: Any) -> str:
        with pytest.raises(AwsRefused) as caught:
            aws.call("lightsail", operation, **arguments)
        return caught.value.code

    new = {"instanceNames": ["small-copy"], "availabilityZone": ZONE, "bundleId": "nano_3_0"}
    refused = code("create_instances_from_snapshot", instanceSnapshotName="large", **new)
    assert refused == "InvalidInputException"
    missing = code("create_instances_from_snapshot", instanceSnapshotName="larg", **new)
    assert missing == "NotFoundException"
    twice = {"instanceName": "stopped", "instanceSnapshotName": "large"}
    assert code("create_instance_snapshot", **twice) == "InvalidInputException"
    assert "small-copy" not in {host["name"] for host in control.hosts(lab.name)}


def test_half_a_copy_is_removed_at_the_next_start(lab: LabStatus) -> None:
    """What a killed copy left has no record."""
    folder = places(lab.name).folder / "snapshots"
    folder.mkdir(exist_ok=True)
    half = folder / "half.img"
    half.write_bytes(b"0")
    Snapshots(places(lab.name), [], lambda: None)
    assert not half.exists()
