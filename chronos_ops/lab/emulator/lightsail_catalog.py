"""What the lab's Lightsail offers: the bundles and blueprints that a lab host can stand for."""

from dataclasses import dataclass

from chronos_ops.lab.emulator.lightsail_core import Answer, Arguments, Lightsail

GIB = 1024**3


@dataclass(frozen=True)
class Bundle:
    """A size, as of the price list of 2024 (USD a month, Linux with public IPv4)."""

    id: str
    cpus: int
    ram_gb: float
    disk_gb: int
    price: float
    transfer_gb: int

    @property
    def memory_bytes(self) -> int:
        return int(self.ram_gb * GIB)

    @property
    def disk_bytes(self) -> int:
        return self.disk_gb * GIB


@dataclass(frozen=True)
class Blueprint:
    """An operating system. `image` is the lab image that stands for it; `user` its login."""

    id: str
    name: str
    version: str
    user: str
    image: str = "bare"


BUNDLES = {
    b.id: b
    for b in (
        Bundle("nano_3_0", 2, 0.5, 20, 5.0, 1024),
        Bundle("micro_3_0", 2, 1.0, 40, 7.0, 2048),
        Bundle("small_3_0", 2, 2.0, 60, 12.0, 3072),
        Bundle("medium_3_0", 2, 4.0, 80, 24.0, 4096),
    )
}

BLUEPRINTS = {
    b.id: b
    for b in (
        Blueprint("debian_12", "Debian", "12", "admin", "bare-bookworm"),
        Blueprint("debian_13", "Debian", "13", "admin"),
    )
}


def get_bundles(lab: Lightsail, arguments: Arguments) -> Answer:
    return {
        "bundles": [
            {
                "bundleId": b.id,
                "name": b.id.split("_")[0].capitalize(),
                "cpuCount": b.cpus,
                "ramSizeInGb": b.ram_gb,
                "diskSizeInGb": b.disk_gb,
                "price": b.price,
                "transferPerMonthInGb": b.transfer_gb,
                "isActive": True,
                "supportedPlatforms": ["LINUX_UNIX"],
            }
            for b in BUNDLES.values()
        ]
    }


def get_blueprints(lab: Lightsail, arguments: Arguments) -> Answer:
    return {
        "blueprints": [
            {
                "blueprintId": b.id,
                "name": b.name,
                "version": b.version,
                "type": "os",
                "platform": "LINUX_UNIX",
                "isActive": True,
            }
            for b in BLUEPRINTS.values()
        ]
    }


def get_regions(lab: Lightsail, arguments: Arguments) -> Answer:
    region = lab.state.region
    zones = [{"zoneName": region + letter, "state": "available"} for letter in "ab"]
    shown = zones if arguments.get("includeAvailabilityZones") else []
    return {"regions": [{"name": region, "displayName": "Lab", "availabilityZones": shown}]}
