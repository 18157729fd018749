"""The host: the way in, its room and clock, firewalls, PostgreSQL and extensions (P2, P3)."""

import time
from collections.abc import Callable

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.facts import lightsail_ports, packages, postgres, system
from chronos_ops.facts.ufw import UFW
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters.common import Need
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.judge_firewalls import judge_agreement, lightsail_openings
from chronos_ops.plans.packages import PACKAGES
from chronos_ops.preflight.looking import Look, dry, looked
from chronos_ops.preflight.machine import judge_clock

_FREE_BYTES = 2 * 1024**3
_FREE_SHARE = 0.1
_DISK = (
    "df -B1 --output=size,avail \"$(sh -c 'cd /var/lib/postgresql 2>/dev/null; pwd')\" | tail -n 1"
)
_AVAILABLE = "SELECT name FROM pg_available_extensions"
_SOURCES = ("postgresql", "pgbackrest")
_RELEASES = ("debian 12", "debian 13", "ubuntu 22.04", "ubuntu 24.04")


def host(context: Context) -> Outcome:
    """SSH with the pinned key, sudo, the release, free space, the clock."""
    return looked(
        context,
        "Host",
        (
            Look("preflight.ssh", "SSH lets us in, by its pinned key", "P2", _ssh),
            Look("preflight.sudo", "sudo asks for no password", "P2", lambda c: [sudo(c.ssh)]),
            Look("preflight.release", "The system is one that we know", "P2", _release),
            Look("preflight.host-disk", "The disk has room", "P4", _disk),
            Look(
                "preflight.host-clock",
                "Its clock is this machine's",
                "P4",
                lambda c: [clock(c.ssh)],
            ),
        ),
    )


def firewalls(context: Context) -> Outcome:
    """Lightsail's list can be read and lets SSH in; once the host has a firewall, they agree."""
    return looked(
        context,
        "Firewalls",
        (Look("preflight.firewalls", "The firewalls can be read, and agree", "P2", _firewalls),),
    )


def database(context: Context) -> Outcome:
    """PostgreSQL runs from packages; every declared extension is installed, or can be."""
    return looked(
        context,
        "PostgreSQL",
        (
            Look("preflight.postgres", "PostgreSQL runs", "P3", _postgres),
            Look("preflight.extensions", "Every declared extension can be had", "P3", _extensions),
        ),
    )


for _function in (host, firewalls, database):
    _function.probe = True  # type: ignore[attr-defined] # reads only


def _ssh(context: Context) -> list[Finding]:
    context.ssh.open()
    user = context.ssh.run(["id", "-un"]).stdout.strip()
    return [
        judge(
            "preflight.ssh",
            "SSH lets us in, by its pinned key",
            passed=user == context.settings.host.user,
            observed=f"{user}@{context.settings.host.address}",
            expected=context.settings.host.user,
            requirement="P2",
        )
    ]


def sudo(ssh: Ssh) -> Finding:
    """Whether we may become root without being asked."""
    done = ssh.run(["sudo", "-n", "id", "-u"], accept=(0, 1))
    root = done.stdout.strip() == "0"
    return judge(
        "preflight.sudo",
        "sudo asks for no password",
        passed=root,
        observed="root" if root else done.stderr.strip()[:200],
        expected="`sudo -n` gives root",
        hint=f"a line in /etc/sudoers.d (visudo): {ssh.address.user} ALL=(ALL) NOPASSWD:ALL",
        requirement="P2",
    )


def _release(context: Context) -> list[Finding]:
    release = context.ask(system.OS_RELEASE)
    return [
        judge(
            "preflight.release",
            "The system is one that we know",
            passed=f"{release.id} {release.version_id}" in _RELEASES,
            observed=release.pretty_name,
            expected=", ".join(_RELEASES),
            hint="the runbooks may work on it; nobody has tried",
            requirement="P2",
        )
    ]


def _disk(context: Context) -> list[Finding]:
    words = context.ssh.run(["sh", "-c", _DISK], sudo=True).stdout.split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        raise UnreadableAnswer("df does not tell the free space", " ".join(words)[:200])
    size, free = (int(word) for word in words)
    return [
        judge(
            "preflight.host-disk",
            "The disk has room",
            passed=free >= _FREE_BYTES and free >= _FREE_SHARE * size,
            observed=f"{free / 1e9:.1f} of {size / 1e9:.1f} GB free",
            expected=f"at least {_FREE_BYTES / 1e9:.1f} GB and {_FREE_SHARE:.0%}",
            hint="WAL that is not archived? `ls pg_wal/archive_status/*.ready`; else a larger disk",
            requirement="P4",
        )
    ]


def clock(ssh: Ssh) -> Finding:
    """The host's clock against this machine's."""
    began = time.time()
    text = ssh.run(["date", "+%s.%N"]).stdout.strip()
    ended = time.time()
    title = "Its clock is this machine's"
    try:
        theirs = float(text)
    except ValueError:
        raise UnreadableAnswer("date does not tell the time", text[:100]) from None
    return judge_clock("preflight.host-clock", title, began, ended, theirs, 0.0)


# What other runbooks look at before they begin, by the names in their parameters' `needs` (P4).
FIRST: dict[Need, Callable[[Ssh], Finding]] = {"sudo": sudo, "clock": clock}


def _firewalls(context: Context) -> list[Finding]:
    settings = context.settings
    ports = context.ask(lightsail_ports.open_ports(settings.host.instance))
    opened = lightsail_openings(ports) if ports is not None else []
    port = settings.host.port
    ours = [o for o in opened if o.protocol in ("tcp", "all") and o.first <= port <= o.last]
    found = [
        judge(
            "preflight.lightsail-firewall",
            "Lightsail's firewall lets SSH in",
            passed=bool(ours) if ports is not None else None,
            observed="no such instance" if ports is None
            else ", ".join(o.ports for o in opened) or "nothing is open",
            expected=f"{port}/tcp is open",
            hint="host.port and host.instance; the stage `lightsail-firewall` of "
            "security_hardening sets the list",
            requirement="P2",
        )
    ]  # fmt: skip
    ufw = context.ask(UFW)
    if ufw.active:
        ipv6 = context.ask(lightsail_ports.has_ipv6(settings.host.instance))
        return [*found, judge_agreement(settings, ufw, ports, ipv6=ipv6)]
    return [
        *found,
        Finding(
            id="firewall.agree",
            status=Status.NOT_APPLICABLE,
            title="UFW and Lightsail's firewall let in the same",
            observed="the host has no firewall of its own yet",
            expected="security_hardening makes it",
            requirement="H1",
        ),
    ]


def _postgres(context: Context) -> list[Finding]:
    settings, clusters = context.settings, context.ask(postgres.CLUSTERS)
    cluster = declared_cluster(settings, clusters)
    there = f"{cluster.version}/{cluster.name} {cluster.status}" if cluster else ""
    return [
        judge(
            "preflight.postgres",
            "PostgreSQL runs",
            passed=cluster is not None and cluster.status == "online",
            observed=there or missing_cluster(settings, clusters),
            expected=f"{settings.postgres.cluster} on {settings.postgres.port} is online",
            hint=f"systemctl start {cluster.unit}; journalctl -u {cluster.unit}"
            if cluster else "postgres.cluster and postgres.port; apt install postgresql",
            requirement="P3",
        )
    ]  # fmt: skip


def _extensions(context: Context) -> list[Finding]:
    """By the backup runbook's own stage: what it would install; else, what the server offers."""
    plan, wanted = dry(context, PACKAGES), context.settings.postgres.extensions
    passed: bool | None = not plan.refusals
    observed = "; ".join(plan.refusals)
    if plan.changes and passed:
        known = any(context.ask(packages.candidates(*_SOURCES)).values())
        passed = True if known else None
        observed = f"to come: {plan.changes[0].title}" if known else "apt has no package lists yet"
    elif passed:
        there = {str(row["name"]) for row in context.ssh.sql_rows(_AVAILABLE)}
        missing = [name for name in wanted if name not in there]
        passed = not missing
        observed = f"the server offers no {', '.join(missing)}" if missing else plan.noop_reason
    return [
        judge(
            "preflight.extensions",
            "Every declared extension can be had",
            passed=passed,
            observed=observed,
            expected=", ".join(wanted) or "none is declared",
            hint="sudo apt-get update; the package source of PostgreSQL (PGDG); or take it out of "
            "postgres.extensions",
            requirement="P3",
        )
    ]
