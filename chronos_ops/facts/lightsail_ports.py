"""Lightsail's own firewall in front of an instance (GetInstancePortStates, API 2016-11-28)."""

from dataclasses import dataclass
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import AwsQuestion, Fact


@dataclass(frozen=True, order=True)
class OpenPort:
    """A range of ports that Lightsail lets in, and from where. ICMP: type and code as ports."""

    protocol: str  # tcp, udp, icmp, icmpv6, all
    first: int
    last: int
    cidrs: tuple[str, ...]
    ipv6_cidrs: tuple[str, ...]
    aliases: tuple[str, ...] = ()  # "lightsail-connect": the console's browser SSH

    def admits(self, port: int) -> bool:
        """Whether a TCP port is in it."""
        return self.protocol in ("tcp", "all") and self.first <= port <= self.last

    @property
    def networks(self) -> tuple[str, ...]:
        return (*self.cidrs, *self.ipv6_cidrs)

    @property
    def shown(self) -> str:
        """As an operator reads it."""
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        sources = ", ".join((*self.networks, *self.aliases)) or "nowhere"
        return f"{ports}/{self.protocol} from {sources}"

    def as_argument(self) -> dict[str, Any]:
        """As PutInstancePublicPorts takes it. Without any source it would open to all: refused."""
        if not (self.networks or self.aliases):
            raise UnreadableAnswer("a port that is open to nobody", self.shown)
        given: dict[str, Any] = {
            "protocol": self.protocol,
            "fromPort": self.first,
            "toPort": self.last,
        }
        if self.cidrs:
            given["cidrs"] = list(self.cidrs)
        if self.ipv6_cidrs:
            given["ipv6Cidrs"] = list(self.ipv6_cidrs)
        if self.aliases:
            given["cidrListAliases"] = list(self.aliases)
        return given


def open_ports(instance: str) -> Fact[tuple[OpenPort, ...] | None]:
    """What Lightsail lets through to the instance; None: there is no such instance."""
    question = AwsQuestion(
        "lightsail",
        "get_instance_port_states",
        {"instanceName": instance},
        absent=("NotFoundException",),
    )
    return Fact("lightsail_ports", question, _read)


def has_ipv6(instance: str) -> Fact[bool]:
    """Whether the instance can be reached by IPv6: without it Lightsail keeps no IPv6 networks."""
    question = AwsQuestion(
        "lightsail", "get_instance", {"instanceName": instance}, absent=("NotFoundException",)
    )
    return Fact("lightsail_ipv6", question, _read_ipv6)


def _read_ipv6(answer: Any) -> bool:
    if answer is None:
        return False
    kind = answer.get("instance", {}).get("ipAddressType")
    if kind not in ("ipv4", "ipv6", "dualstack"):
        raise UnreadableAnswer("not an address type of Lightsail", kind)
    return bool(kind != "ipv4")


def _read(answer: Any) -> tuple[OpenPort, ...] | None:
    if answer is None:
        return None
    try:
        return tuple(
            sorted(
                OpenPort(
                    protocol=item["protocol"],
                    first=int(item["fromPort"]),
                    last=int(item["toPort"]),
                    cidrs=tuple(sorted(item.get("cidrs", ()))),
                    ipv6_cidrs=tuple(sorted(item.get("ipv6Cidrs", ()))),
                    aliases=tuple(sorted(item.get("cidrListAliases", ()))),
                )
                for item in answer["portStates"]
                if item.get("state", "open") == "open"
            )
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not Lightsail's port states", repr(error)) from None
