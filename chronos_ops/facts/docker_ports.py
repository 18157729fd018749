"""Ports that a container engine publishes: they are translated before UFW's rules see them."""

import re
from dataclasses import dataclass

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

# iptables' own tables, and those of nft (podman's netavark) where nft is there. A table that cannot
# be listed is an error: nobody knows then what is published. A kernel without IPv6 has none.
SCRIPT = r"""
for p in iptables ip6tables; do
  command -v $p-save >/dev/null || continue
  [ $p = iptables ] || [ -e /proc/net/if_inet6 ] || continue
  rules=$($p-save -t nat) || exit 1
  printf '%s\n' "$rules" | sed -n "/ DNAT /s/^/$p /p"
done
command -v nft >/dev/null || exit 0
rules=$(nft list ruleset) || exit 1
printf '%s\n' "$rules" | sed -n '/dnat /s/^[[:space:]]*/nft /p'
"""


@dataclass(frozen=True)
class PublishedPort:
    """A port of the host that leads past UFW into a container."""

    protocol: str
    port: str
    address: str  # on which it is published; "": on all
    rule: str

    @property
    def public(self) -> bool:
        return not self.address.startswith(("127.", "::1"))


def published(text: str) -> tuple[PublishedPort, ...]:
    """The ports among the rules that SCRIPT lists. Raises UnreadableAnswer."""
    found: dict[tuple[str, str, str], PublishedPort] = {}
    for line in text.splitlines():
        program, _, rule = line.partition(" ")
        if program not in ("iptables", "ip6tables", "nft") or "dnat " not in rule.lower():
            raise UnreadableAnswer("not a rule that translates addresses", line[:160])
        port = re.search(r"--dports? (\S+)|dport (\d[\d-]*|\{[^}]*\})", rule)
        protocol = re.search(r"-p (\w+)|\b(tcp|udp)\b", rule)
        address = re.search(r"(?<!! )-d (\S+)|daddr (?!!)(\S+)", rule)  # but here: everywhere else
        if port is None and not re.search(r"-j DNAT|\bdnat (ip6? )?to\b", rule):
            continue  # the name of a chain, a jump to it
        item = PublishedPort(
            protocol=next(filter(None, protocol.groups()), "") if protocol else "any",
            port=next(filter(None, port.groups()), "") if port else "any",
            address=next(filter(None, address.groups()), "") if address else "",
            rule=f"{program}: {rule}",
        )
        found.setdefault((item.protocol, item.port, item.address.split("/")[0]), item)
    return tuple(found.values())


def _read(answer: ShellAnswer) -> tuple[PublishedPort, ...]:
    return published(answer.stdout)


DOCKER_PORTS: Fact[tuple[PublishedPort, ...]] = Fact(
    "docker_ports", ShellQuestion(("sh", "-c", SCRIPT), sudo=True), _read
)
