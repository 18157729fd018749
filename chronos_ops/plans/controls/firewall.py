"""Controls of the host's firewall and of the bans (H1, H2)."""

import ipaddress

from chronos_ops.facts.audit_network import Jail, Listener, Ufw, UfwRule
from chronos_ops.facts.docker_ports import PublishedPort
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.verdicts import (
    CIS,
    Judge,
    Values,
    control,
    judged,
    none_of,
    not_applicable,
)

_UFW = "stage `host-firewall` makes UFW's rules from the parameters"
_BANS = "stage `fail2ban`"
HTTPS = "443"
# Sockets that a host needs for its own address: DHCP, router and neighbour discovery, NTP answers.
_OWN_PROCESSES = ("systemd-network", "dhclient", "dhcpcd", "chronyd", "ntpd", "systemd-timesyn")


def declared_ports(settings: Settings) -> set[str]:
    """22, 5432 and 443, as the parameters name them."""
    return {str(settings.host.port), str(settings.postgres.port), HTTPS}


def _admitting(ufw: Ufw) -> list[UfwRule]:
    return [rule for rule in ufw.rules if rule.action in ("ALLOW IN", "LIMIT IN", "ALLOW", "LIMIT")]


def _active(_: Settings, values: Values) -> Verdict:
    return judged(values["ufw"].active, "active" if values["ufw"].active else "inactive", "active")


def _enabled(_: Settings, values: Values) -> Verdict:
    unit = values["units"]["ufw.service"]
    state = f"{unit['UnitFileState']}, {unit['ActiveState']}"
    good = unit["UnitFileState"] == "enabled" and unit["ActiveState"] == "active"
    return judged(good, state, "enabled, active")


def _default(_: Settings, values: Values) -> Verdict:
    ufw: Ufw = values["ufw"]
    return judged(ufw.incoming in ("deny", "reject"), ufw.incoming or "inactive", "deny (incoming)")


def _routed(_: Settings, values: Values) -> Verdict:
    ufw: Ufw = values["ufw"]
    return judged(
        ufw.routed in ("deny", "reject", "disabled"), ufw.routed or "inactive", "deny or disabled"
    )


def _kernel(family: str) -> Judge:
    def judge(_: Settings, values: Values) -> Verdict:
        policies: dict[str, str] = values["chains"]
        seen = [
            policy
            for name, policy in policies.items()
            if name.split()[0] in (family, "inet") and name.endswith(" input")
        ]
        good = "drop" in seen
        return judged(good, ", ".join(seen) or "no chain hooks into input", "policy drop")

    return judge


def _ipv6(_: Settings, values: Values) -> Verdict:
    seen = values["ufw_ipv6"] or "IPV6 not set"
    return judged(seen.replace('"', "").lower() == "ipv6=yes", seen, "IPV6=yes")


def _only_declared(settings: Settings, values: Values) -> Verdict:
    ufw: Ufw = values["ufw"]
    ports = declared_ports(settings)
    wrong = [f"{r.to} from {r.source}" for r in _admitting(ufw) if r.port not in ports]
    if not ufw.active:
        return judged(False, "UFW is not active", f"only {', '.join(sorted(ports))}")
    return none_of(wrong, f"only {', '.join(sorted(ports))} are open")


def _sources(settings: Settings, values: Values) -> Verdict:
    ufw: Ufw = values["ufw"]
    if not ufw.active:
        return judged(False, "UFW is not active", "named networks only")
    port = str(settings.postgres.port)
    wrong = [
        f"{r.to} from {r.source}{' (v6)' if r.v6 else ''}"
        for r in _admitting(ufw)
        if r.port == port and r.source in ("Anywhere", "0.0.0.0/0", "::/0")
    ]
    return none_of(wrong, "PostgreSQL's port is open to named networks only")


def _ssh_open(settings: Settings, values: Values) -> Verdict:
    ufw: Ufw = values["ufw"]
    port = str(settings.host.port)
    seen = [r.source for r in _admitting(ufw) if r.port == port]
    return judged(
        bool(seen), f"{port} from {', '.join(seen) or 'nowhere'}", "the operators' way in"
    )


def _listeners(settings: Settings, values: Values) -> Verdict:
    listeners: list[Listener] = values["listening"]
    ports = declared_ports(settings)
    wrong = sorted(
        {
            f"{item.process or 'unknown'} on {item.protocol}/{item.port}"
            for item in listeners
            if item.public
            and not (item.protocol == "tcp" and str(item.port) in ports)
            and item.process not in _OWN_PROCESSES
        }
    )
    return none_of(wrong, f"only {', '.join(sorted(ports))} listen on the network")


def _logging(_: Settings, values: Values) -> Verdict:
    seen = values["ufw"].logging or "off"
    return judged(seen.startswith("on"), seen, "on")


def _docker(_: Settings, values: Values) -> Verdict:
    ports: tuple[PublishedPort, ...] = values["docker_ports"]
    past = [port.rule for port in ports if port.public]
    return none_of(past, "no published container port goes round UFW")


# -- bans


def _ban_service(_: Settings, values: Values) -> Verdict:
    unit = values["units"]["fail2ban.service"]
    state = f"{unit['UnitFileState']}, {unit['ActiveState']}"
    return judged(state == "enabled, active", state, "enabled, active")


def _jail(word: str) -> Judge:
    def judge(_: Settings, values: Values) -> Verdict:
        jails: dict[str, Jail] = values["jails"]
        seen = [jail for name, jail in jails.items() if word in name]
        said = ", ".join(f"{j.name} watches {' '.join(j.watches) or 'nothing'}" for j in seen)
        good = any(jail.watches for jail in seen)
        return judged(good, said or f"jails: {', '.join(jails) or 'none'}", f"a jail for {word}")

    return judge


def _ignored(settings: Settings, values: Values) -> Verdict:
    jails: dict[str, Jail] = values["jails"]
    wanted = (*settings.postgres.operator_networks, *settings.hardening.bans.ignore_networks)
    wrong = [
        f"{jail.name} may ban {network}"
        for jail in jails.values()
        for network in wanted
        if not any(_covers(ignored, network) for ignored in jail.ignored)
    ]
    if not jails:
        return judged(False, "no jail", "the operators' networks are never banned")
    return none_of(wrong, "the operators' networks are never banned")


def _covers(ignored: str, network: str) -> bool:
    try:
        outer, inner = ipaddress.ip_network(ignored, strict=False), ipaddress.ip_network(network)
    except ValueError:
        return False  # a name
    if isinstance(outer, ipaddress.IPv4Network) and isinstance(inner, ipaddress.IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(outer, ipaddress.IPv6Network) and isinstance(inner, ipaddress.IPv6Network):
        return inner.subnet_of(outer)
    return False


def _ban_time(settings: Settings, values: Values) -> Verdict:
    jails: dict[str, Jail] = values["jails"]
    least = min(settings.hardening.bans.ban_seconds, 600)
    wrong = [f"{j.name}: {j.ban_seconds} s" for j in jails.values() if 0 <= j.ban_seconds < least]
    if not jails:
        return not_applicable("no jail", f"at least {least} s")
    return none_of(wrong, f"bans last at least {least} s")


CONTROLS: tuple[Control, ...] = (
    control(
        "firewall.active", "The host's firewall is active", f"{CIS} 4.2.3", "ufw", _active, _UFW
    ),
    control(
        "firewall.enabled", "The firewall starts at boot", f"{CIS} 4.2.3", "units", _enabled, _UFW
    ),
    control(
        "firewall.default-deny",
        "What is not allowed is refused",
        f"{CIS} 4.2.7",
        "ufw",
        _default,
        _UFW,
    ),
    control(
        "firewall.routed-deny",
        "Nothing is routed through the host",
        f"{CIS} 4.2.7",
        "ufw",
        _routed,
        _UFW,
    ),
    control(
        "firewall.kernel-v4",
        "The kernel drops by default, IPv4",
        f"{CIS} 4.3.8; nft(8)",
        "chains",
        _kernel("ip"),
        _UFW,
    ),
    control(
        "firewall.kernel-v6",
        "The kernel drops by default, IPv6",
        f"{CIS} 4.3.8; nft(8)",
        "chains",
        _kernel("ip6"),
        _UFW,
    ),
    control(
        "firewall.ipv6",
        "UFW's rules hold for IPv6 too",
        "ufw(8), /etc/default/ufw IPV6",
        "ufw_ipv6",
        _ipv6,
        _UFW,
    ),
    control(
        "firewall.declared-ports",
        "Only declared ports are open",
        f"{CIS} 4.2.6; requirement H1",
        "ufw",
        _only_declared,
        _UFW,
    ),
    control(
        "firewall.database-sources",
        "PostgreSQL is open to named networks only",
        "CIS PostgreSQL 16 Benchmark 5.9; requirement H1",
        "ufw",
        _sources,
        "name the networks in hardening.firewall.database_networks; " + _UFW,
    ),
    control(
        "firewall.operators-way-in",
        "The operators' SSH port is open",
        "ufw(8); requirement H9",
        "ufw",
        _ssh_open,
        _UFW,
    ),
    control(
        "firewall.listeners",
        "Only declared services listen on the network",
        f"{CIS} 2.1.22",
        "listening",
        _listeners,
        "stop what is not needed: systemctl disable --now UNIT; or bind it to 127.0.0.1",
    ),
    control(
        "firewall.logging",
        "Refused packets are logged",
        "ufw(8) logging",
        "ufw",
        _logging,
        "ufw logging low",
    ),
    control(
        "firewall.docker",
        "No container port goes round the firewall",
        "Docker manual, Packet filtering and firewalls",
        "docker_ports",
        _docker,
        "publish on 127.0.0.1 only (-p 127.0.0.1:PORT:PORT)",
    ),
    control(
        "bans.service",
        "fail2ban runs and starts at boot",
        "fail2ban-server(1); requirement H2",
        "units",
        _ban_service,
        _BANS,
    ),
    control(
        "bans.ssh-jail",
        "A jail watches SSH",
        "jail.conf(5); requirement H2",
        "jails",
        _jail("ssh"),
        _BANS,
    ),
    control(
        "bans.postgres-jail",
        "A jail watches PostgreSQL",
        "jail.conf(5); requirement H2",
        "jails",
        _jail("postgres"),
        _BANS,
    ),
    control(
        "bans.operators-ignored",
        "The operators are never banned",
        "jail.conf(5) ignoreip; requirement H2",
        "jails",
        _ignored,
        _BANS,
    ),
    control("bans.ban-time", "Bans last", "jail.conf(5) bantime", "jails", _ban_time, _BANS),
)
