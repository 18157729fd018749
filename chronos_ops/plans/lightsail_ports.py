"""Lightsail's own firewall, set from the operators' side: it agrees with the host's (H1, H9)."""

from dataclasses import replace
from typing import Any

from chronos_ops.facts.lightsail_ports import OpenPort, has_ipv6, open_ports
from chronos_ops.model.plan import CallAws, Change, Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.firewall_wanted import Door, covered, lightsail_doors, merged

NAME = "lightsail-firewall"
IN_FORCE_SECONDS = 60.0  # Lightsail names no bound for it; a list that locks out is seen by then
Ports = tuple[OpenPort, ...]


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """The port list in front of the declared instance."""
    instance = settings.host.instance
    return {"ports": open_ports(instance), "ipv6": has_ipv6(instance)}


def wanted_ports(doors: tuple[Door, ...], *, ipv6: bool = True) -> Ports:
    """The doors as Lightsail's list; without IPv6 those that IPv4 has."""
    return tuple(
        sorted(
            OpenPort("tcp", d.port, d.port, tuple(sorted(d.of_family(4))), tuple(sorted(v6)))
            for d in doors
            if d.of_family(4) + (v6 := d.of_family(6) if ipv6 else ())
        )
    )


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """The whole list at once: what is not in it is closed."""
    ports: Ports | None = values["ports"]
    instance = settings.host.instance
    if ports is None:
        refusal = f"Lightsail knows no instance {instance!r}: name it in host.instance"
        return Plan(name=NAME, refusals=(refusal,))
    wanted = _with_aliases(wanted_ports(lightsail_doors(settings), ipv6=values["ipv6"]), ports)
    if canonical(ports) == canonical(wanted):
        shown = "; ".join(port.shown for port in wanted)
        return Plan(name=NAME, noop_reason=f"Lightsail lets in {shown}")
    change = put_change(
        settings,
        ports,
        wanted,
        identifier="lightsail.ports",
        title="let nothing through to the instance but what is declared",
        why="both firewalls agree; what is really open is their intersection"
        + (" (80: for http-01, closed on the host outside a challenge)" if _http(wanted) else "")
        + _lost_aliases(ports, wanted),
    )
    return Plan(name=NAME, changes=(change,))


def _with_aliases(wanted: Ports, now: Ports) -> Ports:
    """An alias such as lightsail-connect opens nothing more where all of IPv4 is let in: it stays.

    Elsewhere it is a network that nobody declared, and the host's own firewall refuses it (H1).
    """
    have = {(p.protocol, p.first, p.last): p.aliases for p in now}
    return tuple(
        replace(p, aliases=have.get((p.protocol, p.first, p.last), ()))
        if "0.0.0.0/0" in p.cidrs
        else p
        for p in wanted
    )


def _lost_aliases(now: Ports, wanted: Ports) -> str:
    kept = {(p.first, alias) for p in wanted for alias in p.aliases}
    lost = [f"{a} on {p.first}" for p in now for a in p.aliases if (p.first, a) not in kept]
    return (
        f"; {', '.join(lost)} goes (lightsail-connect: the console's browser SSH): it is none of "
        "the declared networks, and UFW refuses it"
        if lost
        else ""
    )


def _http(ports: Ports) -> bool:
    return any(port.admits(80) for port in ports)


def canonical(ports: Ports) -> Ports:
    """Networks merged, so that two spellings of the same are the same."""
    return tuple(
        sorted(
            OpenPort(
                p.protocol,
                p.first,
                p.last,
                tuple(sorted(merged(p.cidrs))),
                tuple(sorted(merged(p.ipv6_cidrs))),
                p.aliases,
            )
            for p in ports
        )
    )


def put_change(
    settings: Settings,
    now: Ports,
    wanted: Ports,
    *,
    identifier: str,
    title: str,
    why: str,
    guard: bool = True,
) -> Change:
    """PutInstancePublicPorts, and the former list as its undo (by the client: H9)."""
    instance = settings.host.instance
    return Change(
        id=identifier,
        title=title,
        why=why,
        deeds=(_put(instance, wanted),),
        undo=(_put(instance, now),),
        before="\n".join(port.shown for port in now) + "\n",
        after="\n".join(port.shown for port in wanted) + "\n",
        guard=guard,
        late_seconds=IN_FORCE_SECONDS if guard and _narrows(settings.host.port, now, wanted) else 0,
    )


def _narrows(port: int, now: Ports, wanted: Ports) -> bool:
    """Whether somebody who could come to this port cannot any more."""
    left = tuple(n for p in wanted if p.admits(port) for n in p.networks)
    return any(not covered(n, left) for p in now if p.admits(port) for n in p.networks)


def _put(instance: str, ports: Ports) -> CallAws:
    return CallAws(
        service="lightsail",
        operation="put_instance_public_ports",
        arguments={
            "instanceName": instance,
            "portInfos": [p.as_argument() for p in ports if p.networks or p.aliases],
        },
    )


def database_door(settings: Settings, ports: Ports | None, *, ipv6: bool) -> Change | None:
    """The operators' way to PostgreSQL, beside what is open already; None: they have it.

    None too where the host is no instance of Lightsail's, or the operators come through SSH. All
    that it adds is in `wanted_ports` of the stage `lightsail-firewall`, which would leave it.
    """
    if ports is None or settings.postgres.connect != "tcp":
        return None
    port = settings.postgres.port
    have = tuple(n for p in ports if p.admits(port) for n in p.networks)
    own_way = wanted_ports((_database(port, settings.postgres.operator_networks),), ipv6=ipv6)
    missing = tuple(n for p in own_way for n in p.networks if not covered(n, have))
    if not missing:
        return None
    kept = tuple(p for p in ports if (p.protocol, p.first, p.last) != ("tcp", port, port))
    own = next((p for p in ports if (p.protocol, p.first, p.last) == ("tcp", port, port)), None)
    networks = merged((*(own.networks if own else ()), *missing))
    (door,) = wanted_ports((_database(port, networks),), ipv6=ipv6)
    return put_change(
        settings,
        ports,
        tuple(sorted((*kept, replace(door, aliases=own.aliases if own else ())))),
        identifier="lightsail.database-port",
        title=f"let the operators' networks through Lightsail's firewall to port {port}",
        why=f"it is closed to {', '.join(missing)}: backups and drills are judged from there",
        guard=False,  # it only adds
    )


def _database(port: int, networks: tuple[str, ...]) -> Door:
    return Door(port, merged(networks), "PostgreSQL")


LIGHTSAIL_FIREWALL = Stage(NAME, facts, plan)
