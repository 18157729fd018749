"""Snapshots in the lab's Lightsail, against a daemon that a test plays."""

import json
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.lab.emulator import lightsail
from chronos_ops.lab.emulator.lightsail_core import Lightsail, LightsailError
from chronos_ops.lab.emulator.lightsail_state import State
from tests.lab_unit.test_aws_lightsail import NEW, Daemon, finished, opened

TAKE = {"instanceSnapshotName": "ready", "instanceName": "drill"}
FROM = {
    "instanceNames": ["copy"],
    "availabilityZone": "ca-central-1a",
    "bundleId": "small_3_0",
    "instanceSnapshotName": "ready",
}


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def lab(daemon: Daemon, tmp_path: Path) -> Lightsail:
    return opened(tmp_path, daemon)


def taken(lab: Lightsail) -> dict[str, Any]:
    finished(lab, lightsail.call(lab, "CreateInstances", NEW))
    finished(lab, lightsail.call(lab, "CreateInstanceSnapshot", TAKE))
    asked = {"instanceSnapshotName": "ready"}
    shown: dict[str, Any] = lightsail.call(lab, "GetInstanceSnapshot", asked)["instanceSnapshot"]
    return shown


def test_a_snapshot_tells_where_it_comes_from(lab: Lightsail, daemon: Daemon) -> None:
    shown = taken(lab)
    assert (shown["state"], shown["progress"]) == ("available", "100%")
    assert (shown["fromInstanceName"], shown["fromBlueprintId"]) == ("drill", "debian_12")
    assert (shown["fromBundleId"], shown["sizeInGb"]) == ("small_3_0", 60)
    assert ("snapshot", {"timeout_seconds": 900, "name": "drill", "snapshot": "ready"}) in (
        daemon.asked
    )
    listed = lightsail.call(lab, "GetInstanceSnapshots", {})["instanceSnapshots"]
    assert listed == [shown]


def test_an_instance_from_it_has_its_blueprint_and_its_disk(lab: Lightsail, daemon: Daemon) -> None:
    taken(lab)
    finished(lab, lightsail.call(lab, "CreateInstancesFromSnapshot", FROM))
    shown = lightsail.call(lab, "GetInstance", {"instanceName": "copy"})["instance"]
    assert (shown["blueprintId"], shown["state"]["name"]) == ("debian_12", "running")
    created = [given for op, given in daemon.asked if op == "create"][-1]
    assert created["snapshot"] == "ready"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"bundleId": "micro_3_0"}, "InvalidInputException"),  # 40 GB, the snapshot has 60
        ({"instanceSnapshotName": "redy"}, "NotFoundException"),
        ({"instanceNames": ["drill"]}, "InvalidInputException"),
    ],
)
def test_what_aws_refuses_is_refused(
    lab: Lightsail, daemon: Daemon, change: dict[str, Any], code: str
) -> None:
    taken(lab)
    with pytest.raises(LightsailError) as caught:
        lightsail.call(lab, "CreateInstancesFromSnapshot", FROM | change)
    assert caught.value.code == code
    assert set(daemon.hosts) == {"drill"}


def test_a_copy_that_failed_is_in_error_and_nothing_is_made_from_it(
    lab: Lightsail, daemon: Daemon
) -> None:
    daemon.broken = "snapshot"
    assert taken(lab)["state"] == "error"
    with pytest.raises(LightsailError, match="must be available"):
        lightsail.call(lab, "CreateInstancesFromSnapshot", FROM)


def test_a_copy_whose_maker_died_is_in_error(lab: Lightsail, tmp_path: Path) -> None:
    taken(lab)
    path = lab.state.path
    data = json.loads(path.read_text())
    data["InstanceSnapshot"]["ready"]["state"] = "pending"
    path.write_text(json.dumps(data))
    again = State(path, lab.state.account, lab.state.region)
    assert again.all("InstanceSnapshot")["ready"]["state"] == "error"


def test_deleting_it_leaves_the_instance(lab: Lightsail, daemon: Daemon) -> None:
    taken(lab)
    finished(lab, lightsail.call(lab, "CreateInstancesFromSnapshot", FROM))
    gone = {"instanceSnapshotName": "ready"}
    finished(lab, lightsail.call(lab, "DeleteInstanceSnapshot", gone))
    assert ("delete_snapshot", {"name": "ready"}) in daemon.asked
    assert lightsail.call(lab, "GetInstance", {"instanceName": "copy"})["instance"]
    with pytest.raises(LightsailError, match="does not exist"):
        lightsail.call(lab, "GetInstanceSnapshot", gone)
