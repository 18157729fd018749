"""Before a challenge: do the names lead here, may this directory issue, will it get in (H4)."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from chronos_ops.connectors.names import Caa, Names
from chronos_ops.execution.context import Context
from chronos_ops.facts.certbot import CHALLENGE_PORT, ChallengePort
from chronos_ops.hardening.certificate_trust import static_address, undeclared
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge, not_known
from chronos_ops.model.hardening import Certificate
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.question import AwsQuestion, Fact

_TAGS = ("issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone", "issuevmc")


def certificate_checks(context: Context) -> Outcome:
    """Addresses and CAA of every name, and the way in for the challenge. Changes nothing."""
    declared = context.settings.hardening.certificate
    if declared is None:
        return undeclared("checks")
    names = Names(declared.dns_server)
    wanted = static_address(context)
    findings: list[Finding] = []
    table: list[dict[str, Any]] = []
    for name in sorted({n.removeprefix("*.") for n in declared.names}):
        context.say(f"asking the name service for {name} …")
        addresses = _addresses(names, name, wanted)
        rights = _rights(names, declared, name)
        table.append({"name": name, "addresses": addresses.observed, "CAA": rights.observed})
        findings += [addresses, rights]
        if declared.challenge == "dns-01" and declared.dns_delegation:
            findings.append(_delegation(names, name, declared.dns_delegation))
    if declared.challenge == "http-01":
        ports = context.ask(public_ports(context.settings.host.instance))
        findings += [judge_way_in(ports), judge_free(context.ask(CHALLENGE_PORT))]
    return Outcome(
        summary=f"{len(table)} names, as {declared.dns_server or 'the system'} resolves them; "
        f"challenge {declared.challenge} by {issuer(declared)}.",
        table=table,
        findings=findings,
    )


certificate_checks.probe = True  # type: ignore[attr-defined]


def _addresses(names: Names, name: str, wanted: str) -> Finding:
    identifier, title = f"certificate.address.{name}", f"{name} leads to this host"
    try:
        found = names.addresses(name)
    except ChronosError as error:
        return not_known(identifier, title, error, "H4")
    return judge(
        identifier,
        title,
        passed=found == (wanted,),
        observed=", ".join(found) or "no address",
        expected=f"{wanted} alone",
        hint="set the A record at the registrar; remove a stray AAAA record: an ACME server (and "
        "every client) prefers it",
        requirement="H4",
    )


def _rights(names: Names, declared: Certificate, name: str) -> Finding:
    identifier, title = f"certificate.caa.{name}", f"The directory may issue for {name}"
    try:
        records = names.caa(name)
    except ChronosError as error:
        return not_known(identifier, title, error, "H4")
    asked = [n for n in declared.names if n.removeprefix("*.") == name]
    refused = [
        n for n in asked if not caa_permits(records, issuer(declared), n, declared.challenge)
    ]
    shown = "; ".join(f'{record.tag} "{record.value}"' for record in records)
    return judge(
        identifier,
        title,
        passed=not refused,
        observed=shown or "no CAA record: everybody may",
        expected=f'issue "{issuer(declared)}", or no CAA record',
        hint=f'add a CAA record at the registrar: 0 issue "{issuer(declared)}"',
        requirement="H4",
    )


def issuer(declared: Certificate) -> str:
    """The name by which a CAA record permits the directory."""
    host = urlsplit(declared.directory_url).hostname or declared.directory_url
    return "letsencrypt.org" if host.endswith(".letsencrypt.org") else host


def caa_permits(records: Sequence[Caa], identity: str, name: str, challenge: str) -> bool:
    """RFC 8659: `issuewild` governs wildcards if there is any; RFC 8657: validation methods."""
    if any(record.critical and record.tag not in _TAGS for record in records):
        return False
    issue = [record for record in records if record.tag == "issue"]
    wild = [record for record in records if record.tag == "issuewild"]
    governing = wild if name.startswith("*.") and wild else issue
    return not governing or any(_names(r.value, identity, challenge) for r in governing)


def _names(value: str, identity: str, challenge: str) -> bool:
    domain, *parameters = (part.strip() for part in value.split(";"))
    given = dict(p.split("=", 1) for p in parameters if "=" in p)
    methods = given.get("validationmethods")
    return domain.lower() == identity and (methods is None or challenge in methods.split(","))


def _delegation(names: Names, name: str, wanted: str) -> Finding:
    alias = f"_acme-challenge.{name}"
    identifier, title = f"certificate.delegation.{name}", f"{alias} is delegated"
    try:
        found = names.cname(alias)
    except ChronosError as error:
        return not_known(identifier, title, error, "H4")
    return judge(
        identifier,
        title,
        passed=found == wanted.rstrip(".").lower(),
        observed=found or "no CNAME record",
        expected=wanted,
        hint=f"at the registrar, once: {alias} CNAME {wanted}",
        requirement="H4",
    )


def public_ports(instance: str) -> Fact[tuple[dict[str, Any], ...]]:
    """Lightsail's own firewall, as its API tells it."""
    question = AwsQuestion("lightsail", "get_instance_port_states", {"instanceName": instance})
    return Fact("lightsail.public_ports", question, lambda a: tuple(a["portStates"]))


def judge_way_in(ports: Sequence[dict[str, Any]]) -> Finding:
    """An http-01 challenge comes from anywhere to port 80."""
    admitted = [
        port
        for port in ports
        if port["protocol"] in ("tcp", "all")
        and port["fromPort"] <= 80 <= port["toPort"]
        and "0.0.0.0/0" in port.get("cidrs", [])
    ]
    return judge(
        "certificate.way-in",
        "Lightsail's firewall lets the challenge in (port 80); the host's own closes it again",
        passed=bool(admitted),
        observed="80 is open to all" if admitted else "80 is not open to all",
        expected="80 open to all in Lightsail's firewall",
        hint="stage `lightsail-firewall` sets it; without an inbound port: `challenge: dns-01`",
        requirement="H4",
    )


def judge_free(port: ChallengePort) -> Finding:
    """certbot answers the challenge itself: nobody else may listen where it must."""
    return judge(
        "certificate.port-free",
        "Nobody else listens on port 80 of the host",
        passed=not port.taken_by,
        observed=port.listener or "nobody listens",
        expected="nobody: certbot listens there itself during a challenge",
        hint=f"take {port.listener or 'it'} off port 80, or use `challenge: dns-01`; every renewal "
        "would fail",
        requirement="H4",
    )
