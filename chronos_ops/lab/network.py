"""A lab's network: one bridge, a free private /24 and a ULA /64; no way to the internet."""

import contextlib
import ipaddress
import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from chronos_ops.lab.doors import Doors, bridged_chains, tracked_chains
from chronos_ops.lab.errors import LabError
from chronos_ops.lab.places import Places
from chronos_ops.lab.run import run, works


@dataclass(frozen=True)
class Network:
    """The lab's subnet. The operators' machine is its first address."""

    subnet: IPv4Network
    bridge: str
    table: str

    @property
    def gateway(self) -> IPv4Address:
        return self.subnet[1]

    @property
    def subnet6(self) -> IPv6Network:
        """A unique local prefix that says which /24 it goes with: no two labs share it."""
        _, high, middle, _ = self.subnet.network_address.packed
        return IPv6Network(f"fdc5:c5c5:{high:x}:{middle:x}::/64")

    def address6(self, address: str) -> IPv6Address:
        """The IPv6 address of the host that has this IPv4 address."""
        return self.subnet6[IPv4Address(address).packed[3]]

    def free(self, taken: Iterable[str]) -> str:
        """An address for a host. Raises LabError if all are taken."""
        used = set(taken)
        for host in range(10, 200):
            if (address := str(self.subnet[host])) not in used:
                return address
        raise LabError("no address left in the lab's network", self.subnet)


def choose_subnet(taken: Iterable[IPv4Network], seed: str) -> IPv4Network:
    """A /24 of 10/8 that overlaps none; the same again for the same seed. Raises LabError."""
    used = list(taken)
    dice = random.Random(seed)  # noqa: S311 - a number, not a secret
    for _ in range(10_000):
        subnet = IPv4Network(f"10.{dice.randrange(64, 250)}.{dice.randrange(256)}.0/24")
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise LabError("no free private network on this machine")


def has_ipv6() -> bool:
    """Whether this machine's kernel speaks it."""
    switch = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    return switch.is_file() and switch.read_text().strip() == "0"


def taken_subnets(places: Places) -> list[IPv4Network]:
    """What this machine routes, and what other labs remember."""
    found: list[IPv4Network] = []
    for route in json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]) or "[]"):
        with contextlib.suppress(ValueError):
            if (network := ipaddress.IPv4Network(route["dst"])).prefixlen:
                found.append(network)
    for path in places.state.glob("labs/*/lab.json"):
        if path.parent != places.folder:
            with contextlib.suppress(ValueError, KeyError):
                found.append(IPv4Network(json.loads(path.read_text())["subnet"]))
    resolver = Path("/etc/resolv.conf")
    text = resolver.read_text() if resolver.is_file() else ""
    return found + [
        IPv4Network(a)
        for a in re.findall(r"^nameserver\s+(\d+\.\d+\.\d+\.\d+)", text, re.MULTILINE)
    ]


def raise_bridge(network: Network) -> None:
    """Make the bridge and the table of static addresses; hosts reach each other and the gateway."""
    link = network.bridge
    if not works(["ip", "link", "show", link]):
        # An address of its own: else it takes a host's, and the others lose it with that host.
        mac = "02:c5:" + ":".join(f"{byte:02x}" for byte in network.gateway.packed)
        run(["ip", "link", "add", link, "address", mac, "type", "bridge", "forward_delay", "0"])
    prefix = f"{network.gateway}/{network.subnet.prefixlen}"
    run(["ip", "address", "replace", prefix, "dev", link])
    run(["ip", "link", "set", link, "up"])
    if has_ipv6():
        run(["ip", "address", "replace", f"{network.subnet6[1]}/64", "dev", link, "nodad"])
    # For static addresses between hosts; the filter below keeps all else inside.
    Path(f"/proc/sys/net/ipv4/conf/{link}/forwarding").write_text("1")
    write_table(network, {})


def allow_hairpin(bridge: str) -> None:
    """Let a host reach itself by its static address: its frame goes back out where it came in."""
    for port in Path("/sys/class/net", bridge, "brif").glob("*"):
        with contextlib.suppress(OSError):  # it went away meanwhile
            (port / "hairpin_mode").write_text("1")


def unplug(machine: str) -> None:
    """Take an ended host's network card away.

    Its network outlives its processes while a socket of a killed one still has something to send
    (seen: 160 s). A new host with the same addresses would share them with it, and connections to
    the one end in the other: reset, refused, or not answered at all.
    """
    works(["ip", "link", "delete", f"vb-{machine}"])  # most often it went with the processes


def forget_neighbour(bridge: str, address: str) -> None:
    """A new host may get a lost one's address: nobody shall wait for the old one's card."""
    works(["ip", "neigh", "del", address, "dev", bridge])


def remove_bridge(bridge: str, table: str) -> None:
    for port in Path("/sys/class/net", bridge, "brif").glob("*"):
        works(["ip", "link", "delete", port.name])
    for family in _FAMILIES:
        if works(["nft", "list", "table", family, table]):
            run(["nft", "delete", "table", family, table])
    if works(["ip", "link", "show", bridge]):
        run(["ip", "link", "delete", bridge])


def write_table(network: Network, mapped: dict[str, str], hosts: Sequence[Doors] = ()) -> None:
    """Make `mapped` (static address to host's address) and the port lists so, in one transaction.

    The static address is an address of the bridge itself, so that hosts and this machine find it
    without a route; what comes for it is sent on to the host, and answers come back the same way.
    """
    pairs = ", ".join(f"{static} : {host}" for static, host in sorted(mapped.items()))
    translate = f"dnat to ip daddr map {{ {pairs} }}" if pairs else ""
    texts = [
        _TABLE.format(
            n=network,
            translate=translate,
            doors=tracked_chains(hosts, "ip", network.bridge),
            between=bridged_chains(hosts),
        )
    ]
    if has_ipv6():
        doors = tracked_chains(hosts, "ip6", network.bridge)
        texts.append(_TABLE6.format(n=network, doors=doors))
    run(["nft", "-f", "-"], text="\n".join(texts))
    _align_addresses(network, set(mapped))


_FAMILIES = ("ip", "ip6", "bridge")
_INSIDE = """
  chain inside {{
    type filter hook forward priority 0;
    iifname "{n.bridge}" oifname != "{n.bridge}" drop
    oifname "{n.bridge}" iifname != "{n.bridge}" drop
  }}
"""
_TABLE = (
    """
table ip {n.table} {{ }}
delete table ip {n.table}
table ip {n.table} {{
  chain to_static {{ type nat hook prerouting priority -100; {translate}; }}
  chain own_to_static {{ type nat hook output priority -100; {translate}; }}
  chain from_static {{
    type nat hook postrouting priority 100;
    ct status dnat oifname "{n.bridge}" masquerade
  }}
  {doors}
"""
    + _INSIDE
    + """
}}
table bridge {n.table} {{ }}
delete table bridge {n.table}
table bridge {n.table} {{
  {between}
}}
"""
)
_TABLE6 = (
    """
table ip6 {n.table} {{ }}
delete table ip6 {n.table}
table ip6 {n.table} {{
  {doors}
"""
    + _INSIDE
    + "}}\n"
)


def _align_addresses(network: Network, wanted: set[str]) -> None:
    shown = json.loads(run(["ip", "-j", "-4", "address", "show", "dev", network.bridge]))
    present = {entry["local"] for link in shown for entry in link.get("addr_info", [])} - {
        str(network.gateway)
    }
    for address in present - wanted:
        run(["ip", "address", "del", f"{address}/32", "dev", network.bridge])
    for address in wanted - present:
        run(["ip", "address", "add", f"{address}/32", "dev", network.bridge])
    if present != wanted and works(["which", "conntrack"]):
        run(["conntrack", "-F"])
