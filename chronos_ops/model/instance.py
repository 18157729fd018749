"""A Lightsail instance that a run asks for: the requests that make it, as plain data (P2, D3)."""

import base64
import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from chronos_ops.model.errors import UsageError
from chronos_ops.model.settings import Settings

RUN_TAG = "chronos:run"
TARGET_TAG = "chronos:target"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,253}[A-Za-z0-9]")


class InstanceRequest(BaseModel):
    """What is asked of Lightsail. Its tag is what allows the run, and nobody else, to strike it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    run_id: str
    target: str
    public_key: str  # OpenSSH line; Lightsail imports the ssh-rsa type only
    user_data: str = ""
    availability_zone: str
    blueprint_id: str
    bundle_id: str
    snapshot: str | None = None
    operator_networks: tuple[str, ...]
    ports: tuple[int, ...] = (22, 5432)

    @property
    def key_pair(self) -> str:
        """The key pair's name: it carries the run, so that it is nobody else's."""
        return key_pair_name(self.name, self.run_id)

    @property
    def tags(self) -> list[dict[str, str]]:
        return [
            {"key": RUN_TAG, "value": self.run_id},
            {"key": TARGET_TAG, "value": self.target},
        ]

    def import_key_pair(self) -> dict[str, Any]:
        return {"keyPairName": self.key_pair, "publicKeyBase64": self.public_key.strip()}

    def create(self) -> tuple[str, dict[str, Any]]:
        """The operation that makes it, and its arguments."""
        common = {
            "instanceNames": [self.name],
            "availabilityZone": self.availability_zone,
            "bundleId": self.bundle_id,
            "keyPairName": self.key_pair,
            "userData": self.user_data,
            "tags": self.tags,
        }
        if self.snapshot:
            return "create_instances_from_snapshot", {
                **common,
                "instanceSnapshotName": self.snapshot,
            }
        return "create_instances", {**common, "blueprintId": self.blueprint_id}

    def close_firewall(self) -> dict[str, Any]:
        """Only the operators may come in (D4): before any data is on the host."""
        v4 = [n for n in self.operator_networks if ":" not in n]
        v6 = [n for n in self.operator_networks if ":" in n]
        ports = [
            {"fromPort": p, "toPort": p, "protocol": "tcp", "cidrs": v4}
            | ({"ipv6Cidrs": v6} if v6 else {})
            for p in self.ports
        ]
        return {"instanceName": self.name, "portInfos": ports}


def key_pair_name(name: str, run_id: str) -> str:
    """The name of the key pair that a run imports for an instance."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", f"chronos-{run_id}-{name}")


def request_instance(
    settings: Settings, name: str, run_id: str, public_key: str, user_data: str = ""
) -> InstanceRequest:
    """The request for a drill host of this target. Raises UsageError: name, run, key."""
    if not _NAME.fullmatch(name):
        raise UsageError("not a Lightsail instance name", repr(name))
    if not run_id:
        raise UsageError("an instance needs the run that makes it", hint="give the run's id")
    if not _is_rsa(public_key):
        raise UsageError(
            "Lightsail imports keys of the ssh-rsa type only",
            public_key.split(" ", maxsplit=1)[0][:40],
            hint="ssh-keygen -t rsa -b 4096",
        )
    drill = settings.drill
    return InstanceRequest(
        name=name,
        run_id=run_id,
        target=settings.target,
        public_key=public_key,
        user_data=user_data,
        availability_zone=drill.availability_zone,
        blueprint_id=drill.blueprint_id,
        bundle_id=drill.bundle_id,
        snapshot=drill.from_snapshot,
        operator_networks=settings.postgres.operator_networks,
        ports=tuple(sorted({22, settings.postgres.port})),
    )


def _is_rsa(public_key: str) -> bool:
    words = public_key.split()
    if len(words) < 2 or words[0] != "ssh-rsa":
        return False
    try:
        return base64.b64decode(words[1], validate=True)[4:11] == b"ssh-rsa"
    except ValueError:
        return False
