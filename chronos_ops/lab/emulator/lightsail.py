"""The lab's Lightsail: AWS JSON 1.1, the calls that the runbooks use, on real lab hosts.

Each operation is written to the API reference of 2016-11-28; what is not in the table is refused
with `UnknownOperationException`, never answered with an invention.
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chronos_ops.lab.emulator import lightsail_catalog as catalog
from chronos_ops.lab.emulator import lightsail_instances as instances
from chronos_ops.lab.emulator import lightsail_keys as keys
from chronos_ops.lab.emulator import lightsail_network as network
from chronos_ops.lab.emulator import lightsail_operations as operations
from chronos_ops.lab.emulator import lightsail_snapshots as snapshots
from chronos_ops.lab.emulator import lightsail_tags as tags
from chronos_ops.lab.emulator.lightsail_core import Answer, Arguments, Lightsail, LightsailError

TARGET = "Lightsail_20161128."
Handler = Callable[[Lightsail, Arguments], Answer]


@dataclass(frozen=True)
class Operation:
    """One API operation: its handler, the kind of resource, and the argument that names it."""

    run: Handler
    kind: str
    named_by: str = ""
    required: tuple[str, ...] = ()


def judged_by(lab: Lightsail, name: str, arguments: Arguments) -> tuple[str, dict[str, Any]]:
    """The ARN and the condition keys by which IAM judges a call."""
    known = OPERATIONS[name]
    wanted = arguments.get(known.named_by) if known.named_by else None
    record = None
    if isinstance(wanted, str):
        any_kind = known.kind == "Any"
        record = (
            tags.find_any(lab.state, wanted) if any_kind else lab.state.find(known.kind, wanted)
        )
    context: dict[str, Any] = {}
    for item in (record or {}).get("tags", []):
        context[f"aws:ResourceTag/{item['key']}"] = item.get("value", "")
    asked = [item for item in arguments.get("tags") or [] if isinstance(item, dict)]
    for item in asked:
        context[f"aws:RequestTag/{item.get('key')}"] = item.get("value", "")
    keys_named = [item.get("key") for item in asked] + list(arguments.get("tagKeys") or [])
    if keys_named:
        context["aws:TagKeys"] = keys_named
    if record and "arn" in record:
        return record["arn"], context
    home = f"arn:aws:lightsail:{lab.state.region}:{lab.state.account}"
    return f"{home}:{known.kind}/{uuid.uuid4()}", context


def call(lab: Lightsail, name: str, arguments: Arguments) -> Answer:
    """Carry out an authorised call. Raises LightsailError."""
    known = OPERATIONS[name]
    for argument in known.required:
        if arguments.get(argument) in (None, "", []):
            raise LightsailError("InvalidInputException", f"{argument} is required")
    return known.run(lab, arguments)


def parse(body: bytes) -> Arguments:
    """The call's arguments. Raises LightsailError(SerializationException)."""
    try:
        arguments = json.loads(body or b"{}")
    except ValueError:
        raise LightsailError("SerializationException", "the body is not JSON") from None
    if not isinstance(arguments, dict):
        raise LightsailError("SerializationException", "the body is not a JSON object")
    return arguments


def _instance(run: Handler, *required: str) -> Operation:
    return Operation(run, "Instance", "instanceName", ("instanceName", *required))


def _key_pair(run: Handler, *required: str) -> Operation:
    return Operation(run, "KeyPair", "keyPairName", ("keyPairName", *required))


def _static_ip(run: Handler, *required: str) -> Operation:
    return Operation(run, "StaticIp", "staticIpName", ("staticIpName", *required))


def _snapshot(run: Handler, *required: str) -> Operation:
    name = "instanceSnapshotName"
    return Operation(run, "InstanceSnapshot", name, (name, *required))


_NEW = ("instanceNames", "availabilityZone", "blueprintId", "bundleId")
_ANY = ("Any", "resourceName")
OPERATIONS: dict[str, Operation] = {
    "CreateInstances": Operation(instances.create, "Instance", "", _NEW),
    "GetInstance": _instance(instances.get),
    "GetInstances": Operation(instances.get_all, "Instance"),
    "GetInstanceState": _instance(instances.get_state),
    "GetInstanceAccessDetails": _instance(instances.get_access_details),
    "StartInstance": _instance(instances.start),
    "StopInstance": _instance(instances.stop),
    "RebootInstance": _instance(instances.reboot),
    "DeleteInstance": _instance(instances.delete),
    "GetInstancePortStates": _instance(network.port_states),
    "PutInstancePublicPorts": _instance(network.put_ports, "portInfos"),
    "OpenInstancePublicPorts": _instance(network.open_ports, "portInfo"),
    "CloseInstancePublicPorts": _instance(network.close_ports, "portInfo"),
    "CreateInstanceSnapshot": _snapshot(snapshots.create, "instanceName"),
    "GetInstanceSnapshot": _snapshot(snapshots.get),
    "GetInstanceSnapshots": Operation(snapshots.get_all, "InstanceSnapshot"),
    "DeleteInstanceSnapshot": _snapshot(snapshots.delete),
    "CreateInstancesFromSnapshot": _snapshot(
        snapshots.create_instances, "instanceNames", "availabilityZone", "bundleId"
    ),
    "ImportKeyPair": _key_pair(keys.import_pair, "publicKeyBase64"),
    "GetKeyPair": _key_pair(keys.get),
    "GetKeyPairs": Operation(keys.get_all, "KeyPair"),
    "DeleteKeyPair": _key_pair(keys.delete),
    "AllocateStaticIp": _static_ip(network.allocate),
    "GetStaticIp": _static_ip(network.get),
    "GetStaticIps": Operation(network.get_all, "StaticIp"),
    "AttachStaticIp": _static_ip(network.attach, "instanceName"),
    "DetachStaticIp": _static_ip(network.detach),
    "ReleaseStaticIp": _static_ip(network.release),
    "TagResource": Operation(tags.tag, *_ANY, ("resourceName", "tags")),
    "UntagResource": Operation(tags.untag, *_ANY, ("resourceName", "tagKeys")),
    "GetOperation": Operation(operations.get, "Operation", "operationId", ("operationId",)),
    "GetOperations": Operation(operations.get_all, "Operation"),
    "GetBundles": Operation(catalog.get_bundles, "Bundle"),
    "GetBlueprints": Operation(catalog.get_blueprints, "Blueprint"),
    "GetRegions": Operation(catalog.get_regions, "Region"),
}
