"""Lightsail's firewall in front of the hosts: their port lists as rules of nftables (H1).

From this machine to a host, and by a static address, connections are tracked. Between two hosts of
the bridge not every kernel can (NF_CONNTRACK_BRIDGE): there a TCP connection's first packet counts.
"""

import ipaddress
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["ip", "ip6"]
Port = dict[str, Any]  # as Lightsail's API tells it: protocol, fromPort, toPort, cidrs, ipv6Cidrs
ANYWHERE = ("0.0.0.0/0", "::/0")
PROBE_MARK = 0xC505  # the lab's own look whether a host is up


def port(first: int, last: int | None = None, protocol: str = "tcp") -> Port:
    """A port that is open to all."""
    return {
        "fromPort": first,
        "toPort": first if last is None else last,
        "protocol": protocol,
        "cidrs": [ANYWHERE[0]],
        "ipv6Cidrs": [ANYWHERE[1]],
    }


def first_ports() -> list[Port]:
    """What Lightsail opens on a new Linux instance."""
    return [port(22), port(80)]


@dataclass(frozen=True)
class Doors:
    """One host and what is let through to it."""

    address: str
    address6: str  # "": none
    ports: Sequence[Port]

    def chain(self, family: Family) -> str:
        """The name of its rules."""
        return f"{family}_" + self.address.replace(".", "_")


def rules(ports: Iterable[Port], family: Family) -> list[str]:
    """What is accepted over one family."""
    found: list[str] = []
    icmp = "icmp" if family == "ip" else "icmpv6"
    for item in ports:
        sources = _sources(item["cidrs" if family == "ip" else "ipv6Cidrs"], family)
        if sources is None:
            continue
        low, high = item["fromPort"], item["toPort"]
        match item["protocol"]:
            case "tcp" | "udp" as protocol:
                found.append(f"{sources}{protocol} dport {low}-{high} accept")
            case "all":
                found.append(f"{sources}accept")
            case protocol if protocol == icmp:
                found.append(
                    f"{sources}meta l4proto {'ipv6-icmp' if family == 'ip6' else icmp} accept"
                )
    return found


def _sources(cidrs: Iterable[str], family: Family) -> str | None:
    """A match for the networks; "": all; None: nobody."""
    networks = [ipaddress.ip_network(text) for text in cidrs]
    if not networks:
        return None
    if any(network.prefixlen == 0 for network in networks):
        return ""
    v4 = [n for n in networks if isinstance(n, ipaddress.IPv4Network)]
    v6 = [n for n in networks if isinstance(n, ipaddress.IPv6Network)]
    listed = [*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6)]
    return f"{family} saddr {{ {', '.join(map(str, listed))} }} "


# Neighbours and routers must be heard, or there is no IPv6 at all.
_NEIGHBOURS = (
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } "
    "accept"
)


def tracked_chains(hosts: Sequence[Doors], family: Family, bridge: str) -> str:
    """Chains of table `ip` or `ip6`: for what this machine sends, and what it routes."""
    lines = []
    reached = [h for h in hosts if family == "ip" or h.address6]
    for host in reached:
        lines += [f"chain {host.chain(family)} {{", *rules(host.ports, family), "drop", "}"]
    lines += ["chain lightsail {", "ct state established,related accept"]
    lines += [_NEIGHBOURS] if family == "ip6" else []
    lines += [_by_address(reached, family), "}"]
    for name, hook in (("outside", "output"), ("routed", "forward")):
        probe = f"meta mark {PROBE_MARK} accept" if hook == "output" else ""
        lines += [
            f"chain {name} {{ type filter hook {hook} priority 1",
            probe,
            f'oifname "{bridge}" jump lightsail',
            "}",
        ]
    return "\n".join(line for line in lines if line)


def bridged_chains(hosts: Sequence[Doors]) -> str:
    """Chains of table `bridge`: from host to host."""
    lines = []
    families: tuple[Family, ...] = ("ip", "ip6")
    for host, family in itertools.product(hosts, families):
        lines += [
            f"chain {host.chain(family)} {{",
            "tcp flags & (fin|syn|rst|ack) != syn accept",
            _NEIGHBOURS if family == "ip6" else "",
            *rules(host.ports, family),
            "drop",
            "}",
        ]
    lines += ["chain between { type filter hook forward priority 0"]
    lines += [_by_address(hosts, "ip"), _by_address([h for h in hosts if h.address6], "ip6"), "}"]
    return "\n".join(line for line in lines if line)


def _by_address(hosts: Sequence[Doors], family: Family) -> str:
    pairs = [
        f"{h.address if family == 'ip' else h.address6} : jump {h.chain(family)}" for h in hosts
    ]
    return f"{family} daddr vmap {{ {', '.join(pairs)} }}" if pairs else ""
