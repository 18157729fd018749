"""Readings of the audit: what listens, what the firewall lets through, who is banned (H7)."""

import re
from dataclasses import dataclass

from chronos_ops.facts import docker_ports
from chronos_ops.facts.audit import Reading
from chronos_ops.model.settings import Settings


@dataclass(frozen=True)
class UfwRule:
    """A line of `ufw status verbose`."""

    to: str  # "22/tcp"
    action: str  # "ALLOW IN"
    source: str  # "Anywhere", "203.0.113.0/24"
    v6: bool

    @property
    def port(self) -> str:
        """The port of a rule for one; else the whole `to`."""
        return self.to.split("/")[0].split()[0]


@dataclass(frozen=True)
class Ufw:
    """What UFW says that it does."""

    active: bool
    logging: str = ""
    incoming: str = ""
    outgoing: str = ""
    routed: str = ""
    rules: tuple[UfwRule, ...] = ()


@dataclass(frozen=True)
class Listener:
    """An open socket."""

    protocol: str
    address: str
    port: int
    process: str

    @property
    def public(self) -> bool:
        return not self.address.startswith(("127.", "[::1]", "::1", "[::ffff:127."))


@dataclass(frozen=True)
class Jail:
    """A jail that runs. `watches`: files or journal matches; empty: it sees nothing."""

    name: str
    watches: tuple[str, ...]
    ignored: tuple[str, ...]
    actions: tuple[str, ...]
    ban_seconds: int


_RULE = re.compile(r"(\S.*?)\s{2,}((?:ALLOW|DENY|REJECT|LIMIT)(?: IN| OUT| FWD)?)\s{2,}(\S.*?)\s*$")


def _ufw(text: str) -> Ufw:
    status = re.search(r"^Status: (\w+)", text, re.MULTILINE)
    if status is None:
        raise ValueError("ufw status without a status")
    if status[1] != "active":
        return Ufw(active=False)
    default = re.search(
        r"^Default: (\w+) \(incoming\), (\w+) \(outgoing\), (\w+) \(routed\)", text, re.MULTILINE
    )
    logging = re.search(r"^Logging: (.+)$", text, re.MULTILINE)
    if default is None or logging is None:
        raise ValueError("ufw status without its defaults")
    rules = []
    for line in text.splitlines():
        if match := _RULE.match(line):
            to, action, source = match.groups()
            source = source.split("#")[0].strip()
            v6 = "(v6)" in line or ":" in source
            rules.append(UfwRule(to.replace(" (v6)", ""), action, source.replace(" (v6)", ""), v6))
    return Ufw(True, logging[1], default[1], default[2], default[3], tuple(rules))


def _policies(text: str) -> dict[str, str]:
    """Policy of each base chain that hooks into a packet's way: `ip input`: drop."""
    found: dict[str, str] = {}
    family = table = chain = ""
    for line in text.splitlines():
        if match := re.match(r"table (\w+) (\S+)", line):
            family, table = match.groups()
        elif match := re.match(r"\s+chain (\S+)", line):
            chain = match[1]
        elif match := re.search(r"hook (\w+) priority ([^;]+);(?: policy (\w+);)?", line):
            found[f"{family} {table} {chain} {match[1]}"] = match[3] or "accept"
    return found


def _listeners(text: str) -> list[Listener]:
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 6:
            raise ValueError(f"not a line of ss: {line[:80]}")
        address, _, port = words[4].rpartition(":")
        process = re.search(r'\(\("([^"]+)"', line)
        found.append(Listener(words[0], address, int(port), process[1] if process else ""))
    return found


def _jails(text: str) -> dict[str, Jail]:
    found = {}
    for block in re.split(r"^jail ", text, flags=re.MULTILINE)[1:]:
        name, _, body = block.partition("\n")
        parts = [part.strip() for part in body.split("fail2ban> ")]
        status, ignored, seconds, actions = parts[1:5]
        watched = re.search(r"(?:Journal matches|File list):\s*(.*)", status)
        if watched is None:
            raise ValueError(f"the jail {name} does not say what it watches")
        found[name.strip()] = Jail(
            name=name.strip(),
            watches=tuple(watched[1].split()),
            ignored=tuple(re.findall(r"^[|`]- (\S+)", ignored, re.MULTILINE)),
            actions=tuple(w.strip() for w in actions.partition(":")[2].replace(",", " ").split()),
            ban_seconds=int(seconds),
        )
    return found


_JAILS = r"""set -e; names=$(fail2ban-client status | sed -n 's/.*Jail list:[[:space:]]*//p')
for j in $(echo "$names" | tr ',' ' '); do echo "jail $j"
printf 'status %s\nget %s ignoreip\nget %s bantime\nget %s actions\n' "$j" "$j" "$j" "$j" |
fail2ban-client -i 2>/dev/null | sed '/reads log file/d'; echo; done"""


def readings(_: Settings) -> tuple[Reading, ...]:
    """As root on the host."""
    return (
        Reading("ufw", "ufw status verbose", _ufw),
        Reading("ufw_ipv6", "grep -hs '^IPV6=' /etc/default/ufw", str.strip, accept=(0, 1)),
        Reading("chains", "nft list chains", _policies),
        Reading("listening", "ss -H -ltnup", _listeners),
        Reading("jails", _JAILS, _jails),
        Reading("docker_ports", docker_ports.SCRIPT, docker_ports.published),
    )
