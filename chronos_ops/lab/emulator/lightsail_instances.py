"""Instances: each is a lab host, booted and stopped by the lab's daemon."""

import base64
import datetime
import hashlib
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from chronos_ops.lab.emulator.hosts import HostError, NoSuchHost
from chronos_ops.lab.emulator.lightsail_catalog import BLUEPRINTS, BUNDLES, Blueprint, Bundle
from chronos_ops.lab.emulator.lightsail_core import (
    Answer,
    Arguments,
    Lightsail,
    LightsailError,
    plain,
)
from chronos_ops.lab.emulator.lightsail_state import Record

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,253}[A-Za-z0-9]|[A-Za-z0-9]")
_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "stopping": 64, "stopped": 80}
_USER_DATA_LIMIT = 16 * 1024


def create(lab: Lightsail, arguments: Arguments, snapshot: str = "") -> Answer:
    """Of a blueprint, or (`snapshot`) from the copy of an instance that had it."""
    names = arguments["instanceNames"]
    blueprint, bundle = _choice(lab, arguments)
    user_data = str(arguments.get("userData") or "")
    if len(user_data.encode()) > _USER_DATA_LIMIT:
        raise LightsailError("InvalidInputException", "userData is longer than 16 KB")
    key_name = arguments.get("keyPairName")
    authorized = [lab.named("KeyPair", key_name)["_public_line"]] if key_name else []
    started = []
    with lab.state.changing():
        for name in names:
            judge_name(name)
            lab.free_name("Instance", name)
        for name in names:
            zone = arguments["availabilityZone"]
            tags = list(arguments.get("tags") or [])
            _new_record(lab, name, zone, blueprint, bundle, tags, key_name)
            kind = "CreateInstancesFromSnapshot" if snapshot else "CreateInstance"
            started.append(lab.state.operation("Instance", name, kind, "Started", snapshot))
    for operation in started:
        boot = _booter(lab, operation["resourceName"], authorized, user_data, snapshot)
        in_background(lab, operation, boot)
    return {"operations": started}


def get(lab: Lightsail, arguments: Arguments) -> Answer:
    record, hosts = _known(lab, arguments)
    return {"instance": _shown(record, hosts)}


def get_all(lab: Lightsail, arguments: Arguments) -> Answer:
    hosts = align(lab)
    return {"instances": [_shown(r, hosts) for r in list(lab.state.all("Instance").values())]}


def get_state(lab: Lightsail, arguments: Arguments) -> Answer:
    return {"state": _state(*_known(lab, arguments))}


def get_access_details(lab: Lightsail, arguments: Arguments) -> Answer:
    record, _hosts = _known(lab, arguments)
    return {
        "accessDetails": {
            "instanceName": record["name"],
            "protocol": arguments.get("protocol", "ssh"),
            "username": record["username"],
            "ipAddress": record.get("publicIpAddress", ""),
            "hostKeys": [_host_key(line) for line in record.get("_host_keys", [])],
        }
    }


def start(lab: Lightsail, arguments: Arguments) -> Answer:
    return _change(lab, arguments, "StartInstance", "pending", ("start",))


def stop(lab: Lightsail, arguments: Arguments) -> Answer:
    """`force` is for an instance stuck in `stopping`: here, its processes are killed at once."""
    deed = "kill" if arguments.get("force") else "stop"
    return _change(lab, arguments, "StopInstance", "stopping", (deed,))


def reboot(lab: Lightsail, arguments: Arguments) -> Answer:
    return _change(lab, arguments, "RebootInstance", "pending", ("reboot",))


def delete(lab: Lightsail, arguments: Arguments) -> Answer:
    return _change(lab, arguments, "DeleteInstance", "shutting-down", ("delete",))


def align(lab: Lightsail) -> dict[str, Any]:
    """The lab's hosts by name, after the records were made to agree with them.

    Hosts that the lab itself made (the declared one) are instances too, and so are their static
    addresses; an instance whose host is gone is gone. Raises LightsailError(ServiceException).
    """
    try:
        hosts = {host["name"]: host for host in lab.hosts.ask("list")["hosts"]}
    except HostError as error:
        raise LightsailError("ServiceException", str(error), 500) from None
    with lab.state.changing():
        for name, host in hosts.items():
            if lab.state.find("Instance", name) is None:
                _adopt(lab, host)
        for record in list(lab.state.all("Instance").values()):
            if record["name"] in hosts:
                set_ports(record, hosts[record["name"]])
            elif not record.get("_transition"):
                _forget(lab, record)
    return hosts


def _adopt(lab: Lightsail, host: dict[str, Any]) -> None:
    bundle = BUNDLES.get(host.get("bundle") or "", BUNDLES["small_3_0"])
    blueprint = BLUEPRINTS.get(host.get("blueprint") or "", BLUEPRINTS["debian_13"])
    tags = [{"key": k, "value": v} for k, v in (host.get("tags") or {}).items()]
    zone = f"{lab.state.region}a"
    record = _new_record(lab, host["name"], zone, blueprint, bundle, tags, None)
    record["username"] = host.get("user") or record["username"]
    if host.get("created_at"):
        record["createdAt"] = datetime.datetime.fromisoformat(host["created_at"]).timestamp()
    record.pop("_transition")
    _booted(record, host)
    _adopt_address(lab, record, host.get("static_ip"))


def _adopt_address(lab: Lightsail, record: Record, address: str | None) -> None:
    known = (r["ipAddress"] for r in lab.state.all("StaticIp").values())
    if not address or address in known:
        return
    name = f"{record['name']}-ip"
    lab.state.new("StaticIp", name, ipAddress=address, attachedTo=record["name"], isAttached=True)
    record.update(isStaticIp=True, publicIpAddress=address)


def _choice(lab: Lightsail, arguments: Arguments) -> tuple[Blueprint, Bundle]:
    blueprint = BLUEPRINTS.get(arguments["blueprintId"])
    bundle = BUNDLES.get(arguments["bundleId"])
    zone = arguments["availabilityZone"]
    if blueprint is None:
        known = ", ".join(BLUEPRINTS)
        message = f"no blueprint {arguments['blueprintId']!r} here (the lab has {known})"
        raise LightsailError("InvalidInputException", message)
    if bundle is None:
        known = ", ".join(BUNDLES)
        message = f"no bundle {arguments['bundleId']!r} here (the lab has {known})"
        raise LightsailError("InvalidInputException", message)
    if not re.fullmatch(f"{lab.state.region}[a-d]", zone):
        message = f"no availability zone {zone!r} in {lab.state.region}"
        raise LightsailError("InvalidInputException", message)
    return blueprint, bundle


def judge_name(name: object) -> None:
    """Raise LightsailError for what cannot be the name of an instance or a snapshot."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise LightsailError("InvalidInputException", f"not a resource name: {name!r}")


def _new_record(
    lab: Lightsail,
    name: str,
    zone: str,
    blueprint: Blueprint,
    bundle: Bundle,
    tags: list[dict[str, str]],
    key_name: str | None,
) -> Record:
    disk = {"sizeInGb": bundle.disk_gb, "isSystemDisk": True, "path": "/dev/xvda"}
    return lab.state.new(
        "Instance",
        name,
        zone,
        tags=tags,
        blueprintId=blueprint.id,
        blueprintName=blueprint.name,
        bundleId=bundle.id,
        isStaticIp=False,
        ipAddressType="ipv4",
        hardware={"cpuCount": bundle.cpus, "disks": [disk], "ramSizeInGb": bundle.ram_gb},
        networking={
            "monthlyTransfer": {"gbPerMonthAllocated": bundle.transfer_gb},
            "ports": [],  # as soon as its host is there: what is in front of that
        },
        username=blueprint.user,
        sshKeyName=key_name or "",
        _transition="pending",
        _host_keys=[],
    )


def shown_port(told: dict[str, Any]) -> dict[str, Any]:
    """A port as the lab's daemon keeps it, as the API tells it."""
    cidrs, ipv6_cidrs = list(told["cidrs"]), list(told["ipv6Cidrs"])
    aliases = list(told.get("cidrListAliases", []))
    anywhere = "0.0.0.0/0" in cidrs and "::/0" in ipv6_cidrs
    return {
        "fromPort": told["fromPort"],
        "toPort": told["toPort"],
        "protocol": told["protocol"],
        "accessType": "Public",
        "accessFrom": "Anywhere (0.0.0.0/0 and ::/0)" if anywhere else "Custom",
        "accessDirection": "inbound",
        "commonName": "",
        "cidrs": cidrs,
        "ipv6Cidrs": ipv6_cidrs,
        "cidrListAliases": aliases,
    }


def _booter(
    lab: Lightsail, name: str, authorized: list[str], user_data: str, snapshot: str
) -> Callable[[], None]:
    record = lab.named("Instance", name)
    bundle, blueprint = BUNDLES[record["bundleId"]], BLUEPRINTS[record["blueprintId"]]

    def boot() -> None:
        host = lab.hosts.ask(
            "create",
            timeout_seconds=900,  # another suite's image is built first
            name=name,
            image=blueprint.image,
            snapshot=snapshot,
            memory_bytes=bundle.memory_bytes,
            disk_bytes=bundle.disk_bytes,
            bundle=bundle.id,
            blueprint=blueprint.id,
            user=blueprint.user,
            authorized_keys=authorized,
            user_data=user_data,
            tags={item["key"]: item.get("value", "") for item in record["tags"]},
        )
        with lab.state.changing():
            _booted(record, host)

    return boot


def _booted(record: Record, host: dict[str, Any]) -> None:
    address = host["address"]
    record["privateIpAddress"] = address
    if not record["isStaticIp"]:
        record["publicIpAddress"] = address
    record["_host_keys"] = list(host.get("host_keys") or [])
    if address6 := host.get("address6"):
        record.update(ipAddressType="dualstack", ipv6Addresses=[address6])
    set_ports(record, host)


def set_ports(record: Record, host: dict[str, Any]) -> None:
    """The record's port list is what the lab really lets through to the host."""
    record["networking"]["ports"] = [shown_port(told) for told in host.get("ports") or []]


def _change(
    lab: Lightsail, arguments: Arguments, operation: str, meanwhile: str, deeds: tuple[str, ...]
) -> Answer:
    """Start a change of an instance's state; the operation tells when it is done."""
    record, _hosts = _known(lab, arguments)
    name = record["name"]
    with lab.state.changing():
        if record.get("_transition"):
            message = f"{name} is {record['_transition']}: wait until that is done"
            raise LightsailError("OperationFailureException", message)
        record["_transition"] = meanwhile
        begun = lab.state.operation("Instance", name, operation, "Started")

    def carry_out() -> None:
        for deed in deeds:
            try:
                lab.hosts.ask(deed, name=name)
            except NoSuchHost:
                if deed != "delete":
                    raise
        if "delete" in deeds:
            with lab.state.changing():
                _forget(lab, record)

    in_background(lab, begun, carry_out)
    return {"operations": [begun]}


def _forget(lab: Lightsail, record: Record) -> None:
    lab.state.all("Instance").pop(record["name"], None)
    for address in lab.state.all("StaticIp").values():
        if address.get("attachedTo") == record["name"]:
            address.update(isAttached=False, attachedTo="")


def in_background(lab: Lightsail, operation: Record, deed: Callable[[], None]) -> None:
    """Carry a change out beside the answer, as Lightsail does."""

    def work() -> None:
        error = ""
        try:
            deed()
        except (HostError, KeyError, LightsailError) as failure:
            error = str(failure)
        with lab.state.changing():
            lab.state.finish(operation, error)
            record = lab.state.find(operation["resourceType"], operation["resourceName"])
            if record is not None:
                record.pop("_transition", None)

    threading.Thread(target=work, name=f"lightsail-{operation['operationType']}").start()


def _known(lab: Lightsail, arguments: Arguments) -> tuple[Record, dict[str, Any]]:
    hosts = align(lab)
    return lab.named("Instance", arguments["instanceName"]), hosts


def _state(record: Record, hosts: dict[str, Any]) -> dict[str, Any]:
    """What the host really does; while a change is under way, that change."""
    name = record.get("_transition") or hosts.get(record["name"], {}).get("state", "stopped")
    if name == "starting":  # powered on; that SSH does not answer yet is not Lightsail's business
        name = "running"
    return {"code": _CODES[name], "name": name}


def _shown(record: Record, hosts: dict[str, Any]) -> Record:
    return plain(record) | {"state": _state(record, hosts)}


def _host_key(line: str) -> dict[str, Any]:
    """One of `/etc/ssh/ssh_host_*_key.pub` as GetInstanceAccessDetails shows it."""
    algorithm, blob = line.split()[:2]
    raw = base64.b64decode(blob)
    sha1 = base64.b64encode(hashlib.sha1(raw, usedforsecurity=False).digest()).decode()
    sha256 = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    return {
        "algorithm": algorithm,
        "publicKey": blob,
        "witnessedAt": time.time(),
        "fingerprintSHA1": "SHA1:" + sha1.rstrip("="),
        "fingerprintSHA256": "SHA256:" + sha256.rstrip("="),
    }
