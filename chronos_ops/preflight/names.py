"""DNS records as the world sees them: A, AAAA, CNAME, MX (P4)."""

from chronos_ops.connectors.names import Names
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status, judge, not_known
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.settings import DnsRecord
from chronos_ops.preflight.looking import Look, looked


def names(context: Context) -> Outcome:
    """Each declared record is there and leads where it must."""
    title = "The declared DNS records are there"
    return looked(context, "DNS", (Look("preflight.dns", title, "P4", _records),))


names.probe = True  # type: ignore[attr-defined] # reads only


def _records(context: Context) -> list[Finding]:
    settings, certificate = context.settings, context.settings.hardening.certificate
    declared = settings.dns.records
    if not declared and certificate is not None:
        plain = sorted({name.removeprefix("*.") for name in certificate.names})
        declared = tuple(DnsRecord(name=name) for name in plain)
    if not declared:
        return [
            Finding(
                id="preflight.dns",
                status=Status.NOT_APPLICABLE,
                title="The declared DNS records are there",
                observed="neither dns.records nor a certificate is declared",
                expected="A, www and MX, if the host serves a name",
                requirement="P4",
            )
        ]
    server = settings.dns.server or (certificate.dns_server if certificate else None)
    asked = Names(server)
    return [
        _judge(asked, record, settings.hardening.static_ip or settings.host.address)
        for record in declared
    ]


def _judge(asked: Names, record: DnsRecord, address: str) -> Finding:
    identifier = f"preflight.dns.{record.type}.{record.name}"
    wanted = record.value or (address if record.type == "A" else "")
    title = f"{record.name} has its {record.type} record"
    try:
        found = asked.records(record.name, record.type)
    except ChronosError as error:
        return not_known(identifier, title, error, "P4")
    return judge(
        identifier,
        title,
        passed=wanted in found if wanted else bool(found),
        observed=", ".join(found) or "none",
        expected=wanted or f"a {record.type} record",
        hint="change the zone at the domain's name server; an old answer lives for its TTL. "
        "dns.records of the parameter file says what must be there",
        requirement="P4",
    )
