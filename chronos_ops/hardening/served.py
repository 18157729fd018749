"""What is served, against what is on the host's disk; and that a renewal comes through (H4)."""

from chronos_ops.connectors.tls import Shown, handshake
from chronos_ops.execution.context import Context
from chronos_ops.facts.certbot import CERTBOT, CHALLENGE_PORT, LIVE, hand_over_failure
from chronos_ops.facts.certificates import (
    Certificate,
    CertificateFile,
    certificate_file,
    covers,
    now,
    read_der,
)
from chronos_ops.facts.systemd import Unit, units
from chronos_ops.hardening.certificate_trust import trusted_file, undeclared
from chronos_ops.model import hardening
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge, not_known
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.question import Fact
from chronos_ops.plans.certificate import (
    DEPLOY,
    PORT,
    SERVER_CERT,
    SERVER_KEY,
    STATE,
    certificate_name,
)


def served_certificate(context: Context) -> Outcome:
    """The certificate that PostgreSQL (and nginx) show here, against the files. Changes nothing."""
    declared = context.settings.hardening.certificate
    if declared is None:
        return undeclared("served")
    live = context.ask(live_file(declared))
    copy = context.ask(certificate_file(SERVER_CERT, SERVER_KEY))
    findings = [_served_by(context, declared, "postgres", context.settings.postgres.port, live)]
    nginx = context.ask(units("nginx.service"))["nginx.service"]
    if nginx.active == "active":
        findings.append(_served_by(context, declared, "nginx", 443, live))
    findings += [judge_chain(f) for f in _looks(context, declared)]
    findings.append(judge_key(copy, live))
    findings.append(judge_days(live, declared.warn_days))
    findings += _machinery(context)
    days = live.leaf.days_left(now()) if live else None
    return Outcome(
        summary="No certificate on the host."
        if live is None
        else f"`{live.leaf.subject}`, issued by {live.leaf.issuer}: "
        f"{live.leaf.days_left(now()):.1f} days left.",
        findings=findings,
        measures={"certificate.days_left": None if days is None else round(days, 2)},
    )


def live_file(declared: hardening.Certificate) -> Fact[CertificateFile | None]:
    """certbot's own copy, the one that it renews."""
    folder = f"{LIVE}/{certificate_name(declared)}"
    return certificate_file(f"{folder}/fullchain.pem", f"{folder}/privkey.pem")


def _served_by(
    context: Context,
    declared: hardening.Certificate,
    server: str,
    port: int,
    live: CertificateFile | None,
) -> Finding:
    identifier = f"certificate.served.{server}"
    title = f"{server} serves the certificate that certbot keeps"
    try:
        shown = show(context, declared, port, postgres=server == "postgres")
    except ChronosError as error:
        return not_known(identifier, title, error, "H4")
    return judge_serial(identifier, title, read_der(shown.der), live)


def show(
    context: Context, declared: hardening.Certificate, port: int, *, postgres: bool, name: str = ""
) -> Shown:
    """One handshake from here. Raises TransportError, UsageError (no CA file)."""
    ca_file = trusted_file(declared)
    name = name or certificate_name(declared)
    settings = context.settings
    if postgres and settings.postgres.connect == "ssh_tunnel":
        with context.ssh.forward(port) as local:
            return handshake("127.0.0.1", local, name=name, ca_file=ca_file, postgres=True)
    return handshake(settings.host.address, port, name=name, ca_file=ca_file, postgres=postgres)


def judge_serial(
    identifier: str, title: str, served: Certificate, live: CertificateFile | None
) -> Finding:
    """A renewed certificate helps nobody while the old one is served (failures 18)."""
    return judge(
        identifier,
        title,
        passed=live is not None and served.serial == live.leaf.serial,
        observed=f"served: {served.serial} ({served.subject})",
        expected=live.leaf.serial if live else "a certificate on the host",
        hint=f"sudo {DEPLOY} on the host says what is wrong; PostgreSQL's log tells why it goes on "
        "with the old one",
        requirement="H4",
    )


def _looks(
    context: Context, declared: hardening.Certificate
) -> list[tuple[str, Shown | ChronosError]]:
    found: list[tuple[str, Shown | ChronosError]] = []
    for name in declared.names:
        port = context.settings.postgres.port
        try:
            found.append((name, show(context, declared, port, postgres=True, name=asked(name))))
        except ChronosError as error:
            found.append((name, error))
    return found


def asked(name: str) -> str:
    """What a client asks for: of a wildcard, any name below it."""
    return name.replace("*", "any", 1)


def judge_chain(look: tuple[str, Shown | ChronosError]) -> Finding:
    """A client that asks for the name, and trusts whom it should trust, is content."""
    name, shown = look
    identifier = f"certificate.verified.{name}"
    title = f"A client that asks for {name} verifies chain and name"
    if isinstance(shown, ChronosError):
        return not_known(identifier, title, shown, "H5")
    names = read_der(shown.der).names
    return judge(
        identifier,
        title,
        passed=shown.verified and covers(names, asked(name)),
        observed=f"{shown.version}, {shown.cipher}" if shown.verified else shown.said,
        expected="verified",
        hint="is trusted_ca_file the root of the directory that issued? A whole chain is served?",
        requirement="H5",
    )


def judge_key(copy: CertificateFile | None, live: CertificateFile | None) -> Finding:
    """PostgreSQL's key: its own alone, and the certificate's (failures 18: 0644 stops a start)."""
    seen = (
        "there is none"
        if copy is None
        else (
            f"{copy.key_mode} {copy.key_owner}, "
            f"{'belongs' if copy.key_matches else 'does not belong'} to the certificate"
        )
    )
    good = (
        copy is not None
        and (copy.key_mode, copy.key_owner, copy.key_matches) == ("600", "postgres:postgres", True)
        and live is not None
        and copy.leaf.serial == live.leaf.serial
    )
    if copy is not None and live is not None and copy.leaf.serial != live.leaf.serial:
        seen += f"; the copy is {copy.leaf.serial}, certbot keeps {live.leaf.serial}"
    return judge(
        "certificate.key",
        "PostgreSQL's copy of the key is readable to it alone",
        passed=good,
        observed=seen,
        expected="600 postgres:postgres, belongs to the certificate that certbot keeps",
        hint=f"sudo {DEPLOY} sets it right; with another mode PostgreSQL does not start again",
        requirement="H5",
    )


def judge_days(live: CertificateFile | None, warn_days: int) -> Finding:
    """Fewer days left than declared means that renewals have been failing for a while."""
    days = live.leaf.days_left(now()) if live else None
    return judge(
        "certificate.days-left",
        "The certificate lasts",
        passed=days is not None and days >= warn_days,
        observed="no certificate" if days is None else f"{days:.1f} days",
        expected=f"{warn_days} days or more",
        hint="journalctl -u certbot.service; sudo systemctl start certbot.service",
        requirement="H4",
    )


def _machinery(context: Context) -> list[Finding]:
    """The last renewal's end, the timer, and port 80."""
    certbot = context.ask(CERTBOT)
    unit = certbot.unit if certbot else "certbot"
    seen = context.ask(units(f"{unit}.service", f"{unit}.timer"))
    failure = context.ask(hand_over_failure(STATE))
    port = context.ask(CHALLENGE_PORT)
    return [
        judge_renewals(seen[f"{unit}.service"], failure),
        judge_timer(seen[f"{unit}.timer"]),
        judge(
            "certificate.port-closed",
            "Port 80 is closed on the host outside a challenge",
            passed=not port.left_open,
            observed="; ".join(port.left_open) or "no rule lets it in",
            expected="no rule lets it in",
            hint=f"sudo {PORT} close; stage `certificate` closes it too",
            requirement="H1",
        ),
    ]


def judge_renewals(service: Unit, failure: str) -> Finding:
    """certbot ends with 0 when its hook failed: the hook leaves a note, and fails the unit."""
    said = failure or (f"{service.name}: {service.result}" if service.active == "failed" else "")
    return judge(
        "certificate.last-renewal",
        "The last renewal and its hand-over went well",
        passed=not said,
        observed=said or f"{service.name}: {service.result or 'not run yet'}",
        expected="no failure",
        hint=f"journalctl -u {service.name}; sudo {DEPLOY} repeats the hand-over",
        requirement="H4",
    )


def judge_timer(timer: Unit) -> Finding:
    """It waits for a moment that is known."""
    return judge(
        "certificate.timer",
        "The renewal is scheduled",
        passed=timer.is_armed,
        observed=timer.timing,
        expected="enabled, active, with a next moment",
        hint=f"sudo systemctl enable --now {timer.name}",
        requirement="H4",
    )
