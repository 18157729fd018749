"""Two firewalls, one list: do they agree, what is really open, what goes round them? Pure (H1)."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chronos_ops.facts.certbot import CHALLENGE
from chronos_ops.facts.docker_ports import PublishedPort
from chronos_ops.facts.lightsail_ports import OpenPort
from chronos_ops.facts.ufw import Ufw, UfwRule
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.settings import Settings
from chronos_ops.plans.firewall_wanted import HTTP, doors, lightsail_doors, merged, world_open
from chronos_ops.plans.ufw import CHALLENGE_RULES

_STAGES = "stages `host-firewall` and `lightsail-firewall` set both from the parameters"
_ALL = (0, 65535)


@dataclass(frozen=True, order=True)
class Opening:
    """Ports that a firewall lets in, and from where."""

    protocol: str
    first: int
    last: int
    networks: tuple[str, ...]

    @property
    def ports(self) -> str:
        span = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{span}/{self.protocol}"

    @property
    def shown(self) -> str:
        return f"{self.ports} from {', '.join(self.networks) or 'nowhere'}"


def host_openings(ufw: Ufw) -> list[Opening]:
    """What UFW lets in. Not active: everything."""
    if not ufw.active:
        return [Opening("any", *_ALL, ("0.0.0.0/0", "::/0"))]
    found: dict[tuple[str, int, int], list[str]] = {}
    for rule in ufw.rules:
        if rule.action.removesuffix("_log") in ("allow", "limit") and rule.direction[:2] == "in":
            for first, last in _spans(rule.port):
                found.setdefault((rule.protocol, first, last), []).append(rule.source)
    return sorted(Opening(*key, merged(tuple(sources))) for key, sources in found.items())


def lightsail_openings(ports: Sequence[OpenPort]) -> list[Opening]:
    """What Lightsail lets through."""
    return sorted(
        Opening("any" if p.protocol == "all" else p.protocol, p.first, p.last, merged(p.networks))
        for p in ports
    )


def _spans(text: str) -> list[tuple[int, int]]:
    """UFW's ports: `22`, `6000:6007`, `80,443`, `any`."""
    if text == "any":
        return [_ALL]
    spans = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        spans.append((int(first), int(last or first)))
    return spans


def really_open(host: Sequence[Opening], front: Sequence[Opening]) -> list[Opening]:
    """The intersection: what both let in."""
    found: dict[tuple[str, int, int], list[str]] = {}
    for one in host:
        for other in front:
            first, last = max(one.first, other.first), min(one.last, other.last)
            if first > last or not _same_protocol(one.protocol, other.protocol):
                continue
            protocol = other.protocol if one.protocol == "any" else one.protocol
            networks = _in_both(one.networks, other.networks)
            if networks:
                found.setdefault((protocol, first, last), []).extend(networks)
    return sorted(Opening(*key, merged(tuple(networks))) for key, networks in found.items())


def _same_protocol(one: str, other: str) -> bool:
    return one == other or "any" in (one, other)


def _in_both(one: Sequence[str], other: Sequence[str]) -> list[str]:
    found = []
    for a in map(ipaddress.ip_network, one):
        for b in map(ipaddress.ip_network, other):
            if a.version == b.version and a.overlaps(b):
                found.append(str(a if a.prefixlen >= b.prefixlen else b))
    return found


def judge_agreement(
    settings: Settings, ufw: Ufw, ports: Sequence[OpenPort] | None, *, ipv6: bool = True
) -> Finding:
    """Both say the same, but for port 80 where certificates come by http-01.

    Without `ipv6` the instance has no address of that family: IPv4 alone is compared.
    """
    identifier, title = "firewall.agree", "UFW and Lightsail's firewall let in the same"
    if ports is None:
        return Finding(
            id=identifier,
            status=Status.NOT_APPLICABLE,
            title=title,
            observed=f"Lightsail knows no instance {settings.host.instance!r}",
            expected="the same ports from the same networks",
            requirement="H1",
        )
    outside = outside_challenge(settings, ufw)
    host = {_key(o): seen for o in host_openings(outside) if (seen := _seen(o, ipv6))}
    front = {_key(o): seen for o in lightsail_openings(ports) if (seen := _seen(o, ipv6))}
    declared = any(door.port == HTTP for door in lightsail_doors(settings))
    http = ("tcp", HTTP, HTTP)
    if declared and http in front and http not in host:
        del front[http]
    wrong = []
    for key in sorted({*host, *front}):
        ours, theirs = host.get(key, ()), front.get(key, ())
        if ours != theirs:
            name = Opening(*key, ()).ports
            wrong.append(
                f"{name}: UFW {', '.join(ours) or 'closed'}, "
                f"Lightsail {', '.join(theirs) or 'closed'}"
            )
    wrong += [f"UFW alone: {rule.shown}" for rule in ufw.rules if _one_sided(rule)]
    wrong += [
        f"Lightsail alone: {port.first}/{port.protocol} from {alias}"
        for port in ports
        for alias in port.aliases
        if "0.0.0.0/0" not in port.cidrs
    ]
    return judge(
        identifier,
        title,
        passed=not wrong,
        observed="; ".join(wrong) or "they agree" + (" (80: Lightsail only)" if declared else ""),
        expected="the same ports from the same networks"
        + (", and 80 in Lightsail's alone" if declared else ""),
        hint=_STAGES,
        requirement="H1",
    )


def outside_challenge(settings: Settings, ufw: Ufw) -> Ufw:
    """As it is when the challenge under way is over: without certbot's own rule for port 80."""
    if not ufw.challenge or all(door.port != HTTP for door in lightsail_doors(settings)):
        return ufw
    passing = {rule.meaning for rule in CHALLENGE_RULES}
    return replace(
        ufw,
        rules=tuple(r for r in ufw.rules if not (r.comment == CHALLENGE and r.meaning in passing)),
    )


def judge_families(settings: Settings, ports: Sequence[OpenPort] | None, *, ipv6: bool) -> Finding:
    """Without an IPv6 address nobody comes by it: Lightsail's list keeps none of it."""
    named = dict.fromkeys(
        n for door in doors(settings) for n in door.networks if ":" in n and n != "::/0"
    )
    return judge(
        "firewall.families",
        "The instance can be reached by every declared network's family",
        passed=ipv6 or not named or ports is None,
        observed=f"no IPv6 address, but declared: {', '.join(named)}"
        if named and not ipv6
        else "it can",
        expected="an IPv6 address, or no network of IPv6",
        hint="switch IPv6 on (Lightsail's Networking page), or take them out of "
        "postgres.operator_networks and hardening.firewall",
        requirement="H1",
    )


def _seen(opening: Opening, ipv6: bool) -> tuple[str, ...]:
    return tuple(n for n in opening.networks if ipv6 or ":" not in n)


def _key(opening: Opening) -> tuple[str, int, int]:
    return opening.protocol, opening.first, opening.last


def _one_sided(rule: UfwRule) -> bool:
    """Lightsail's list knows no refusals, no limits, no routes."""
    return rule.action.removesuffix("_log") != "allow" or rule.direction != "in"


def judge_database(settings: Settings, opened: Sequence[Opening]) -> Finding:
    """PostgreSQL open to the world is possible, and a finding."""
    port = settings.postgres.port
    networks = [
        network
        for opening in opened
        if opening.protocol in ("tcp", "any") and opening.first <= port <= opening.last
        for network in opening.networks
    ]
    world = world_open(tuple(networks))
    return judge(
        "firewall.database-sources",
        "PostgreSQL is open to named networks only",
        passed=not world,
        observed=f"{port} from {', '.join(networks) or 'nowhere'}",
        expected="no network as large as the internet",
        hint="name who may come: hardening.firewall.database_networks; then " + _STAGES,
        requirement="H1",
    )


def judge_published(published: Sequence[PublishedPort]) -> Finding:
    """A container's port is translated before UFW looks at it."""
    past = [p for p in published if p.public]
    shown = [f"{p.port}/{p.protocol}" + (f" on {p.address}" if p.address else "") for p in past]
    return judge(
        "firewall.published-ports",
        "No container publishes a port past UFW",
        passed=not past,
        observed=", ".join(shown) or "none",
        expected="none, or on 127.0.0.1 alone",
        hint="publish on the loopback: `-p 127.0.0.1:PORT:PORT`; UFW does not see it otherwise",
        requirement="H1",
    )


def judge_framework(ufw: Ufw) -> Finding:
    """Rules beside the user's own, which `ufw status` does not show."""
    changed = ufw.framework_changed
    return judge(
        "firewall.framework",
        "UFW's own rule files are as the package ships them",
        passed=not changed,
        observed=", ".join(changed) or "as shipped",
        expected="as shipped",
        hint="`ufw status` does not show rules in them: compare with /usr/share/ufw/iptables/, "
        "copy back, `ufw reload`",
        requirement="H1",
    )


def judge_challenge_port(settings: Settings, ufw: Ufw) -> Finding:
    """Port 80 is open on the host by certbot's rule while certbot works, at no other time."""
    outside = outside_challenge(settings, ufw)
    opened = [
        o for o in host_openings(outside) if o.first <= HTTP <= o.last and o.protocol != "udp"
    ]
    return judge(
        "firewall.challenge-port",
        "Outside a challenge the host's port 80 is closed",
        passed=not opened,
        observed="; ".join(o.shown for o in opened)
        or ("closed" if outside.rules == ufw.rules else "open for a challenge under way"),
        expected="closed",
        hint="a renewal died with the port open: `ufw delete allow 80/tcp`, or run the stage "
        "`host-firewall` again",
        requirement="H1",
    )


def rows(ufw: Ufw, ports: Sequence[OpenPort] | None) -> list[dict[str, Any]]:
    """For each port: what UFW, what Lightsail lets in, and what is really open."""
    host = host_openings(ufw)
    front = host if ports is None else lightsail_openings(ports)
    both = {_key(o): o for o in really_open(host, front)}
    listed = {_key(o): o.ports for o in (*host, *front, *both.values())}

    def shown(openings: Sequence[Opening], key: tuple[str, int, int]) -> str:
        return ", ".join(n for o in openings if _key(o) == key for n in o.networks) or "closed"

    return [
        {
            "port": listed[key],
            "UFW": shown(host, key),
            "Lightsail": "not in front" if ports is None else shown(front, key),
            "really open": ", ".join(both[key].networks) if key in both else "closed",
        }
        for key in sorted(listed)
    ]
