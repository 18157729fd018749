"""Both firewalls side by side: what each says, and what is really open (H1)."""

from chronos_ops.execution.context import Context
from chronos_ops.facts.docker_ports import DOCKER_PORTS
from chronos_ops.facts.lightsail_ports import has_ipv6, open_ports
from chronos_ops.facts.ufw import UFW
from chronos_ops.model.outcome import Outcome
from chronos_ops.plans import judge_firewalls as firewalls_judge


def firewalls(context: Context) -> Outcome:
    """Compare UFW's rules with Lightsail's list; find what goes round them (H1)."""
    settings = context.settings
    ufw = context.ask(UFW)
    ports = context.ask(open_ports(settings.host.instance))
    ipv6 = context.ask(has_ipv6(settings.host.instance))
    published = context.ask(DOCKER_PORTS)
    host = firewalls_judge.host_openings(ufw)
    front = host if ports is None else firewalls_judge.lightsail_openings(ports)
    opened = firewalls_judge.really_open(host, front)
    findings = [
        firewalls_judge.judge_agreement(settings, ufw, ports, ipv6=ipv6),
        firewalls_judge.judge_families(settings, ports, ipv6=ipv6),
        firewalls_judge.judge_database(settings, opened),
        firewalls_judge.judge_challenge_port(settings, ufw),
        firewalls_judge.judge_published(published),
        firewalls_judge.judge_framework(ufw),
    ]
    shown = "; ".join(opening.shown for opening in opened) or "nothing"
    table = firewalls_judge.rows(ufw, ports)
    return Outcome(
        summary=f"By what both firewalls say, open is: {shown}. It is tried from outside next.",
        table=table,
        findings=findings,
        measures={"firewalls": table},
    )


firewalls.probe = True  # type: ignore[attr-defined] # looks only
