"""Static addresses and the Lightsail firewall's port lists."""

from typing import Any

from chronos_ops.lab.emulator import lightsail_instances as instances
from chronos_ops.lab.emulator.hosts import HostError
from chronos_ops.lab.emulator.lightsail_core import (
    Answer,
    Arguments,
    Lightsail,
    LightsailError,
    plain,
)
from chronos_ops.lab.emulator.lightsail_state import Record

_PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "all")


def allocate(lab: Lightsail, arguments: Arguments) -> Answer:
    name = arguments["staticIpName"]
    with lab.state.changing():
        lab.free_name("StaticIp", name)
        address = _host(lab, "reserve_address")["address"]
        lab.state.new("StaticIp", name, ipAddress=address, attachedTo="", isAttached=False)
        done = lab.state.operation("StaticIp", name, "AllocateStaticIp")
    return {"operations": [done]}


def get(lab: Lightsail, arguments: Arguments) -> Answer:
    return {"staticIp": _shown(lab.named("StaticIp", arguments["staticIpName"]))}


def get_all(lab: Lightsail, arguments: Arguments) -> Answer:
    return {"staticIps": [_shown(record) for record in lab.state.all("StaticIp").values()]}


def attach(lab: Lightsail, arguments: Arguments) -> Answer:
    name, target = arguments["staticIpName"], arguments["instanceName"]
    with lab.state.changing():
        record = lab.named("StaticIp", name)
        instances.align(lab)
        instance = lab.named("Instance", target)
        if record["isAttached"]:
            raise LightsailError(
                "OperationFailureException", f"{name} is attached to {record['attachedTo']}"
            )
        _host(lab, "map_address", name=target, static_ip=record["ipAddress"])
        record.update(isAttached=True, attachedTo=target)
        instance.update(isStaticIp=True, publicIpAddress=record["ipAddress"])
        done = lab.state.operation("StaticIp", name, "AttachStaticIp", details=target)
    return {"operations": [done]}


def detach(lab: Lightsail, arguments: Arguments) -> Answer:
    name = arguments["staticIpName"]
    with lab.state.changing():
        record = lab.named("StaticIp", name)
        if not record["isAttached"]:
            raise LightsailError("OperationFailureException", f"{name} is not attached")
        _host(lab, "unmap_address", static_ip=record["ipAddress"])
        instance = lab.state.find("Instance", record["attachedTo"])
        if instance is not None:
            instance.update(isStaticIp=False, publicIpAddress=instance["privateIpAddress"])
        done = lab.state.operation("StaticIp", name, "DetachStaticIp", details=record["attachedTo"])
        record.update(isAttached=False, attachedTo="")
    return {"operations": [done]}


def release(lab: Lightsail, arguments: Arguments) -> Answer:
    name = arguments["staticIpName"]
    with lab.state.changing():
        record = lab.named("StaticIp", name)
        if record["isAttached"]:
            raise LightsailError("OperationFailureException", f"{name} is still attached")
        _host(lab, "release_address", address=record["ipAddress"])
        del lab.state.all("StaticIp")[name]
        done = lab.state.operation("StaticIp", name, "ReleaseStaticIp")
    return {"operations": [done]}


def port_states(lab: Lightsail, arguments: Arguments) -> Answer:
    shown = ("fromPort", "toPort", "protocol", "cidrs", "ipv6Cidrs", "cidrListAliases")
    ports = _ports(lab, arguments)
    return {"portStates": [{k: p[k] for k in shown} | {"state": "open"} for p in ports]}


def put_ports(lab: Lightsail, arguments: Arguments) -> Answer:
    """Close what is not in the list, open what is."""
    wanted = [_port_info(info) for info in arguments["portInfos"]]
    return _set_ports(lab, arguments, "PutInstancePublicPorts", wanted)


def open_ports(lab: Lightsail, arguments: Arguments) -> Answer:
    new = _port_info(arguments["portInfo"])
    kept = [p for p in _ports(lab, arguments) if _range(p) != _range(new)]
    return _set_ports(lab, arguments, "OpenInstancePublicPorts", [*kept, new])


def close_ports(lab: Lightsail, arguments: Arguments) -> Answer:
    gone = _range(_port_info(arguments["portInfo"]))
    kept = [p for p in _ports(lab, arguments) if _range(p) != gone]
    return _set_ports(lab, arguments, "CloseInstancePublicPorts", kept)


def _set_ports(
    lab: Lightsail, arguments: Arguments, operation: str, ports: list[dict[str, Any]]
) -> Answer:
    name = arguments["instanceName"]
    with lab.state.changing():
        record = lab.named("Instance", name)
        instances.set_ports(record, _host(lab, "open_ports", name=name, ports=ports))
        return {"operation": lab.state.operation("Instance", name, operation)}


def _ports(lab: Lightsail, arguments: Arguments) -> list[dict[str, Any]]:
    instances.align(lab)
    ports: list[dict[str, Any]] = lab.named("Instance", arguments["instanceName"])["networking"][
        "ports"
    ]
    return ports


def _port_info(info: dict[str, Any]) -> dict[str, Any]:
    protocol = info.get("protocol", "tcp")
    low, high = info.get("fromPort", 0), info.get("toPort", info.get("fromPort", 65535))
    in_range = isinstance(low, int) and isinstance(high, int) and -1 <= low <= high <= 65535
    if protocol not in _PROTOCOLS or not in_range:
        raise LightsailError("InvalidInputException", f"not a port range: {info}")
    listed = [*info.get("cidrs", []), *info.get("ipv6Cidrs", []), *info.get("cidrListAliases", [])]
    return {
        "fromPort": low,
        "toPort": high,
        "protocol": protocol,
        "cidrs": info.get("cidrs", []) if listed else ["0.0.0.0/0"],
        "ipv6Cidrs": info.get("ipv6Cidrs", []) if listed else ["::/0"],
        "cidrListAliases": info.get("cidrListAliases", []),
    }


def _range(port: dict[str, Any]) -> tuple[Any, ...]:
    return port["fromPort"], port["toPort"], port["protocol"]


def _shown(record: Record) -> Record:
    return plain(record, "tags", *(() if record["isAttached"] else ("attachedTo",)))


def _host(lab: Lightsail, op: str, **arguments: Any) -> dict[str, Any]:
    try:
        return lab.hosts.ask(op, **arguments)
    except HostError as error:
        raise LightsailError("OperationFailureException", str(error)) from None
