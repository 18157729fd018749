"""Instance snapshots: copies of a host's disk, taken and kept by the lab's daemon."""

from typing import Any

from chronos_ops.lab.emulator import lightsail_instances as instances
from chronos_ops.lab.emulator.lightsail_catalog import BLUEPRINTS, BUNDLES
from chronos_ops.lab.emulator.lightsail_core import (
    Answer,
    Arguments,
    Lightsail,
    LightsailError,
    plain,
)
from chronos_ops.lab.emulator.lightsail_state import Record

KIND = "InstanceSnapshot"


def create(lab: Lightsail, arguments: Arguments) -> Answer:
    name = arguments["instanceSnapshotName"]
    instances.judge_name(name)
    instances.align(lab)
    with lab.state.changing():
        source = lab.named("Instance", arguments["instanceName"])
        if source.get("_transition"):
            message = f"{source['name']} is {source['_transition']}: wait until that is done"
            raise LightsailError("OperationFailureException", message)
        lab.free_name(KIND, name)
        record = lab.state.new(
            KIND,
            name,
            source["location"]["availabilityZone"],
            tags=list(arguments.get("tags") or []),
            state="pending",
            progress="0%",
            fromAttachedDisks=[],
            fromInstanceName=source["name"],
            fromInstanceArn=source["arn"],
            fromBlueprintId=source["blueprintId"],
            fromBundleId=source["bundleId"],
            isFromAutoSnapshot=False,
            sizeInGb=source["hardware"]["disks"][0]["sizeInGb"],
        )
        begun = lab.state.operation(KIND, name, "CreateInstanceSnapshot", "Started", source["name"])

    def copy() -> None:
        state, progress = "error", "0%"
        try:
            lab.hosts.ask("snapshot", timeout_seconds=900, name=source["name"], snapshot=name)
            state, progress = "available", "100%"
        finally:
            with lab.state.changing():
                record.update(state=state, progress=progress)

    instances.in_background(lab, begun, copy)
    return {"operations": [begun]}


def get(lab: Lightsail, arguments: Arguments) -> Answer:
    return {"instanceSnapshot": plain(lab.named(KIND, arguments["instanceSnapshotName"]))}


def get_all(lab: Lightsail, arguments: Arguments) -> Answer:
    return {"instanceSnapshots": [plain(record) for record in lab.state.all(KIND).values()]}


def delete(lab: Lightsail, arguments: Arguments) -> Answer:
    name = arguments["instanceSnapshotName"]
    with lab.state.changing():
        record = lab.named(KIND, name)
        if record["state"] == "pending":
            message = f"{name} is pending: wait until that is done"
            raise LightsailError("OperationFailureException", message)
        del lab.state.all(KIND)[name]
        begun = lab.state.operation(KIND, name, "DeleteInstanceSnapshot", "Started")

    def remove() -> None:
        if record["state"] == "available":
            lab.hosts.ask("delete_snapshot", name=name)

    instances.in_background(lab, begun, remove)
    return {"operations": [begun]}


def create_instances(lab: Lightsail, arguments: Arguments) -> Answer:
    """The source's blueprint, a bundle whose disk holds the snapshot's."""
    snapshot = lab.named(KIND, arguments["instanceSnapshotName"])
    _refuse_unusable(snapshot, arguments)
    blueprint = snapshot["fromBlueprintId"]
    return instances.create(lab, arguments | {"blueprintId": blueprint}, snapshot["name"])


def _refuse_unusable(snapshot: Record, arguments: dict[str, Any]) -> None:
    bundle = BUNDLES.get(arguments["bundleId"])
    if snapshot["state"] != "available" or snapshot["fromBlueprintId"] not in BLUEPRINTS:
        message = f"{snapshot['name']} is {snapshot['state']}: it must be available"
        raise LightsailError("InvalidInputException", message)
    if bundle is not None and bundle.disk_gb < snapshot["sizeInGb"]:
        message = (
            f"the bundle {bundle.id} has a disk of {bundle.disk_gb} GB, smaller than the "
            f"snapshot's {snapshot['sizeInGb']} GB"
        )
        raise LightsailError("InvalidInputException", message)
