"""Lightsail instances, their addresses, host keys and snapshots (API reference 2016-11-28)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.instance import RUN_TAG
from chronos_ops.model.question import AwsQuestion, Fact


@dataclass(frozen=True)
class Instance:
    """An instance as Lightsail reports it. `address` is "" while it has none."""

    name: str
    state: str  # pending, running, stopping, stopped, shutting-down, terminated
    address: str
    user: str
    created_at: datetime
    tags: Mapping[str, str]
    blueprint: str
    bundle: str
    zone: str
    is_static_ip: bool
    private_address: str = ""
    arn: str = ""

    @property
    def run_id(self) -> str:
        """The run that made it; "" for every other instance."""
        return self.tags.get(RUN_TAG, "")


@dataclass(frozen=True)
class Snapshot:
    """An instance snapshot as Lightsail reports it; `size_gb` is its source's disk."""

    name: str
    state: str  # pending, error, available
    progress: str
    from_instance: str
    size_gb: int
    created_at: datetime


def instances() -> Fact[list[Instance]]:
    """All instances of the account's region."""
    question = AwsQuestion("lightsail", "get_instances", paginate=True)
    return Fact("lightsail.instances", question, _read_instances)


def instance(name: str) -> Fact[Instance | None]:
    """One instance; None if there is none of that name."""
    question = AwsQuestion(
        "lightsail", "get_instance", {"instanceName": name}, absent=("NotFoundException",)
    )
    return Fact(f"lightsail.instance.{name}", question, _read_instance_answer)


def host_keys(name: str) -> Fact[tuple[str, ...]]:
    """Lines of a known_hosts file; empty until Lightsail has seen the host's keys."""
    question = AwsQuestion(
        "lightsail",
        "get_instance_access_details",
        {"instanceName": name, "protocol": "ssh"},
        absent=("NotFoundException",),
    )
    return Fact(f"lightsail.host_keys.{name}", question, _read_host_keys)


@dataclass(frozen=True)
class StaticIp:
    """A static address; `attached_to` is "" while it leads to nobody."""

    name: str
    address: str
    attached_to: str


def static_ips() -> Fact[list[StaticIp]]:
    """All static addresses of the account's region."""
    question = AwsQuestion("lightsail", "get_static_ips", paginate=True)
    return Fact("lightsail.static_ips", question, _read_static_ips)


def snapshots() -> Fact[list[Snapshot]]:
    """All instance snapshots of the account's region."""
    question = AwsQuestion("lightsail", "get_instance_snapshots", paginate=True)
    return Fact("lightsail.snapshots", question, _read_snapshots)


def bundle_disks() -> Fact[dict[str, int]]:
    """Disk sizes in GB by bundle id."""
    question = AwsQuestion("lightsail", "get_bundles", paginate=True)
    return Fact("lightsail.bundles", question, _read_bundle_disks)


@dataclass(frozen=True)
class Bundle:
    """What a new host of a bundle has."""

    disk_bytes: int
    memory_bytes: int


def bundles() -> Fact[dict[str, Bundle]]:
    """What Lightsail offers, by bundle id."""
    question = AwsQuestion("lightsail", "get_bundles", paginate=True)
    return Fact("lightsail.bundles", question, _read_bundles)


def _read_bundles(answer: Any) -> dict[str, Bundle]:
    try:
        return {
            b["bundleId"]: Bundle(
                int(float(b["diskSizeInGb"]) * 2**30), int(float(b["ramSizeInGb"]) * 2**30)
            )
            for b in _get(answer, "bundles")
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not a Lightsail bundle", error) from None


def _read_static_ips(answer: Any) -> list[StaticIp]:
    try:
        return [
            StaticIp(i["name"], i["ipAddress"], i.get("attachedTo", "") if i["isAttached"] else "")
            for i in _get(answer, "staticIps")
        ]
    except (KeyError, TypeError) as error:
        raise UnreadableAnswer("not a Lightsail static address", error) from None


def _read_snapshots(answer: Any) -> list[Snapshot]:
    try:
        return [
            Snapshot(
                name=item["name"],
                state=item["state"],
                progress=item.get("progress", ""),
                from_instance=item.get("fromInstanceName", ""),
                size_gb=int(item["sizeInGb"]),
                created_at=item["createdAt"],
            )
            for item in _get(answer, "instanceSnapshots")
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not a Lightsail instance snapshot", error) from None


def _read_bundle_disks(answer: Any) -> dict[str, int]:
    try:
        return {b["bundleId"]: int(b["diskSizeInGb"]) for b in _get(answer, "bundles")}
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not a Lightsail bundle", error) from None


def _read_instances(answer: Any) -> list[Instance]:
    return [_read_instance(item) for item in _get(answer, "instances")]


def _read_instance_answer(answer: Any) -> Instance | None:
    return None if answer is None else _read_instance(_get(answer, "instance"))


def _read_instance(item: Any) -> Instance:
    try:
        return Instance(
            name=item["name"],
            state=item["state"]["name"],
            address=item.get("publicIpAddress", ""),
            user=item.get("username", ""),
            created_at=item["createdAt"],
            tags={tag["key"]: tag.get("value", "") for tag in item.get("tags", [])},
            blueprint=item.get("blueprintId", ""),
            bundle=item.get("bundleId", ""),
            zone=item["location"]["availabilityZone"],
            is_static_ip=item.get("isStaticIp", False),
            private_address=item.get("privateIpAddress", ""),
            arn=item.get("arn", ""),
        )
    except (KeyError, TypeError) as error:
        raise UnreadableAnswer("not a Lightsail instance", error) from None


def _read_host_keys(answer: Any) -> tuple[str, ...]:
    if answer is None:
        return ()
    details = _get(answer, "accessDetails")
    try:
        address = details["ipAddress"]
        keys = details.get("hostKeys", [])
        return tuple(f"{address} {key['algorithm']} {key['publicKey']}" for key in keys)
    except (KeyError, TypeError) as error:
        raise UnreadableAnswer("not Lightsail access details", error) from None


def _get(answer: Any, key: str) -> Any:
    if not isinstance(answer, dict) or key not in answer:
        raise UnreadableAnswer(f"Lightsail's answer has no {key}", str(answer)[:200])
    return answer[key]
