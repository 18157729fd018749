"""What the host shows to the world: ports, SSH, TLS, judged from this machine (H1)."""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from chronos_ops.execution.context import Context
from chronos_ops.facts.addresses import IPV6
from chronos_ops.hardening import lynis, nmap, ssh_audit, sslyze
from chronos_ops.model.errors import ChronosError, UsageError
from chronos_ops.model.finding import Finding, Status, judge, not_known
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.settings import Settings
from chronos_ops.plans.firewall_wanted import HTTPS, covered, doors

T = TypeVar("T")
QUICK = "1-1024,3000,3306,5432,5433,5985,6379,6432,8000,8080,8443,9000,9090,9100,9187,27017"
UDP = "53,67,68,69,111,123,137,161,500,514,520,631,1194,1434,1900,4500,5353,11211,41641,51820"


def port_findings(
    settings: Settings, family: str, scan: nmap.Scan, source: str = ""
) -> list[Finding]:
    """The declared ports answer, and no other does. Closed is an answer: nothing dropped it.

    `source`: the address from which we look by IPv6. (By IPv4 a router may have changed it: that
    we are let in to PostgreSQL is declared by `postgres.operator_networks`.)
    """
    must, may = expected_ports(settings, 6 if family.startswith("ipv6") else 4, source)
    answering = scan.having("open", "closed", "unfiltered")
    more = [port for port in answering if port not in may]
    unnamed = scan.rest.get("open", 0) + scan.rest.get("closed", 0) + scan.rest.get("unfiltered", 0)
    shut = sorted(must - set(scan.having("open")))
    return [
        judge(
            f"outside.{family}.declared-ports",
            f"From outside the declared ports are open ({family})",
            passed=not shut,
            observed="; ".join(f"{p} {scan.state_of(p)}" for p in sorted(may)) or "none declared",
            expected=f"{_list(must) or 'none'} open"
            + (f", {_list(may - must)} open or closed" if may - must else ""),
            hint="is your network in hardening.firewall's and postgres.operator_networks, does "
            "the service listen on all addresses, and do both firewalls agree?",
            requirement="H1",
        ),
        judge(
            f"outside.{family}.nothing-else",
            f"From outside no other port answers ({family})",
            passed=not more and not unnamed,
            observed=f"{scan.count('filtered')} of {scan.scanned} ports dropped"
            + (f"; answering: {_few(more, scan)}" if more else "")
            + (f"; {unnamed} more ports answer" if unnamed else ""),
            expected="every other port is dropped, or answers to nobody",
            hint="`sudo ufw status verbose` on the host; a port that Docker published passes UFW "
            "by; then Lightsail's own firewall",
            requirement="H1",
        ),
    ]


def expected_ports(settings: Settings, version: int, source: str) -> tuple[set[int], set[int]]:
    """Ports that must be open over this version of IP, and those that may answer."""
    may = {door.port for door in doors(settings) if door.of_family(version)}
    must = {
        door.port
        for door in doors(settings)
        if door.port in may
        and door.port != HTTPS
        and (version == 4 or covered(source, door.of_family(6)))
    }
    return must, may


def _list(ports: set[int]) -> str:
    return " and ".join(map(str, sorted(ports)))


def _few(ports: Sequence[int], scan: nmap.Scan) -> str:
    shown = ", ".join(f"{port} {scan.states[port]}" for port in ports[:12])
    return shown + (f" and {len(ports) - 12} more" if len(ports) > 12 else "")


def udp_finding(scan: nmap.Scan) -> Finding:
    """No UDP service answers (silence is what a drop looks like)."""
    answering = scan.having("open", "closed")
    silent = scan.count("open|filtered") + scan.count("filtered")
    return judge(
        "outside.udp.nothing",
        "From outside no UDP port answers",
        passed=not answering and silent == scan.scanned,
        observed=f"{silent} of {scan.scanned} common ports are silent"
        + (f"; answering: {_few(answering, scan)}" if answering else ""),
        expected="silence",
        hint="both firewalls allow TCP 22, 5432 and 443 only",
        requirement="H1",
    )


def source_towards(address: str) -> str:
    """This machine's own address towards an IPv6 address; "" without a way (nothing is sent)."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def outside_ports(context: Context) -> Outcome:
    """Scan all 65,535 TCP ports from here, over IPv4 and IPv6, and the common UDP ones (H1)."""
    settings = context.settings
    v4 = settings.host.address
    v6 = context.ask(IPV6)
    if getattr(context.parameters, "judges", True):
        lynis.start(context)  # works on the host while we look from outside; `judges` reads it
    context.say("scanning 65,535 ports from here …")
    jobs: dict[str, Callable[[], nmap.Scan]] = {
        "IPv4": lambda: nmap.scan(context, v4, "-", log="nmap-ipv4.log")
    }
    sources: dict[str, str] = {}
    for number, address in enumerate(v6, 1):
        if source := source_towards(address):
            family = "IPv6" if number == 1 else f"IPv6-{number}"
            sources[family] = source
            jobs[family] = _scan_of(context, address, f"nmap-{family.lower()}.log")
    if nmap.may_scan_udp():
        jobs["UDP"] = lambda: nmap.scan(context, v4, UDP, protocol="udp", log="nmap-udp.log")
    scans = together(jobs)
    findings: list[Finding] = []
    if "UDP" not in jobs:
        error = UsageError("a UDP scan needs root", hint="run chronos with sudo for this proof")
        findings.append(not_known("outside.udp.scanned", "Ports can be scanned (UDP)", error, "H1"))
    for family, scan in scans.items():
        if isinstance(scan, ChronosError):
            name = f"outside.{family.lower()}.scanned"
            findings.append(not_known(name, f"Ports can be scanned ({family})", scan, "H1"))
        elif family == "UDP":
            findings.append(udp_finding(scan))
        else:
            findings += port_findings(settings, family.lower(), scan, sources.get(family, ""))
    findings.append(_reach_of_ipv6(v6, len(sources)))
    rows = [_row(family, scan) for family, scan in scans.items()]
    return Outcome(
        summary="Every TCP port was tried from this machine. What answers is the intersection of "
        "both firewalls: the host's own, and Lightsail's.",
        table=rows,
        findings=findings,
        measures={"outside_ports": rows},
    )


def _scan_of(context: Context, address: str, log: str) -> Callable[[], nmap.Scan]:
    return lambda: nmap.scan(context, address, "-", log=log)


def _reach_of_ipv6(addresses: Sequence[str], scanned: int) -> Finding:
    public = [a for a in addresses if ipaddress.ip_address(a).is_global]
    known = scanned == len(addresses)
    return Finding(
        id="outside.ipv6.reached",
        status=Status.NOT_APPLICABLE if not addresses else Status.PASS if known else Status.UNKNOWN,
        title="The host was looked at over IPv6 too",
        observed="the host has no IPv6 address"
        if not addresses
        else f"{scanned} of {len(addresses)} addresses scanned ({len(public)} public)",
        expected="every IPv6 address of the host is scanned",
        hint=""
        if known
        else "this machine has no IPv6 route: run this step from one that has, or switch IPv6 off "
        "for the instance (Lightsail: Networking)",
        requirement="H1",
    )


def _row(family: str, scan: nmap.Scan | ChronosError) -> dict[str, Any]:
    if isinstance(scan, ChronosError):
        return {"": family, "ports": "not known", "open": "", "closed": "", "dropped": ""}
    dropped = scan.count("filtered") + scan.count("open|filtered")
    return {
        "": family,
        "ports": scan.scanned,
        "open": ", ".join(map(str, scan.having("open"))) or "none",
        "closed": scan.count("closed"),
        "dropped": dropped,
    }


def together(jobs: dict[str, Callable[[], T]]) -> dict[str, T | ChronosError]:
    """Do looks side by side; one that could not be taken gives its error."""

    def take(job: Callable[[], T]) -> T | ChronosError:
        try:
            return job()
        except ChronosError as error:
            return error

    with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        begun = {name: pool.submit(take, job) for name, job in jobs.items()}
        return {name: future.result() for name, future in begun.items()}


# -- before


def outside_before(context: Context) -> Outcome:
    """How the host looks from outside now. Measured, not judged: it is what will be mended."""
    looks: dict[str, Callable[[], Any]] = {
        "ports": lambda: nmap.scan(context, context.settings.host.address, QUICK, log="before.log")
    }
    if getattr(context.parameters, "judges", True):
        looks["ssh-audit"] = lambda: ssh_audit.audit(context, "ssh-audit-before.log")
        looks["sslyze"] = lambda: sslyze.scan(context, "sslyze-before.log")
        if not context.parameters.plan:  # it writes into /run
            looks["lynis"] = lambda: lynis.run(context, "lynis-before.log")
    seen = together(looks)
    measured = {name: described(value) for name, value in seen.items()}
    return Outcome(
        summary="The host as the world sees it now. The same looks are taken again at the end.",
        table=[{"look": name, "seen": text} for name, text in measured.items()],
        measures={"outside_before": measured},
    )


outside_before.probe = True  # type: ignore[attr-defined] # looks only


def described(value: Any) -> str:
    """One line about what a look has seen."""
    match value:
        case nmap.Scan():
            answering = value.count("open") + value.count("closed")
            opened = ", ".join(map(str, value.having("open"))) or "none"
            return f"open: {opened}; {answering} of {value.scanned} ports answer"
        case ssh_audit.SshAudit():
            return f"{len(value.failures)} failures, {len(value.warnings)} warnings"
        case sslyze.TlsScan():
            return "compliant" if value.compliant else f"{len(value.issues)} issues"
        case lynis.Report():
            return f"index {value.index}"
        case ChronosError():
            return f"not known: {value.noun}"
    raise TypeError(type(value).__name__)
