"""What both firewalls shall let in: one list, from the parameters (H1)."""

import ipaddress
from dataclasses import dataclass

from chronos_ops.model.hardening import ANYWHERE
from chronos_ops.model.settings import Settings

HTTPS = 443
HTTP = 80


@dataclass(frozen=True)
class Door:
    """A TCP port and who may come to it."""

    port: int
    networks: tuple[str, ...]
    purpose: str

    def of_family(self, version: int) -> tuple[str, ...]:
        return tuple(n for n in self.networks if ipaddress.ip_network(n).version == version)


def database_networks(settings: Settings) -> tuple[str, ...]:
    """Who may reach PostgreSQL: what is declared, and the operators where they come by TCP."""
    declared = settings.hardening.firewall.database_networks
    operators = settings.postgres.operator_networks if settings.postgres.connect == "tcp" else ()
    return merged((*(declared if declared is not None else ()), *operators))


def doors(settings: Settings) -> tuple[Door, ...]:
    """SSH, PostgreSQL, HTTPS; a door for nobody is none."""
    firewall = settings.hardening.firewall
    found = (
        Door(settings.host.port, merged(firewall.ssh_networks), "SSH"),
        Door(settings.postgres.port, database_networks(settings), "PostgreSQL"),
        Door(HTTPS, merged(firewall.https_networks), "HTTPS"),
    )
    return tuple(door for door in found if door.networks)


def lightsail_doors(settings: Settings) -> tuple[Door, ...]:
    """The same, and port 80 for http-01: the one declared difference between the two."""
    certificate = settings.hardening.certificate
    if certificate is None or certificate.challenge != "http-01":
        return doors(settings)
    return (*doors(settings), Door(HTTP, ANYWHERE, "ACME http-01"))


def merged(networks: tuple[str, ...]) -> tuple[str, ...]:
    """In canonical form, IPv4 first; what lies in another network is left out."""
    v4, v6 = [], []
    for text in networks:
        network = ipaddress.ip_network(text)
        if isinstance(network, ipaddress.IPv4Network):
            v4.append(network)
        else:
            v6.append(network)
    return tuple(
        str(n) for n in (*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6))
    )


def covered(network: str, by: tuple[str, ...]) -> bool:
    """Whether every address of `network` is in one of `by`."""
    inner = ipaddress.ip_network(network)
    return any(
        inner.subnet_of(outer)  # type: ignore[arg-type] # of the same version
        for outer in map(ipaddress.ip_network, by)
        if outer.version == inner.version
    )


def world_open(networks: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are the whole internet, or a large part of it."""
    return tuple(n for n in networks if ipaddress.ip_network(n).prefixlen < 8)
