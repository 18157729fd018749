"""Clients of the database from here: who verifies gets in, all others are refused (H5)."""

from dataclasses import dataclass, replace
from typing import Any

from chronos_ops.connectors.postgres import PgAddress, Postgres
from chronos_ops.execution.context import Context
from chronos_ops.facts.postgres_access import LOGINS, RULES, Login, Rule, listens
from chronos_ops.hardening.certificate_trust import strange_authority, trusted_file, undeclared
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import Settings
from chronos_ops.plans.certificate import certificate_name

_NOBODY = "chronos_nobody"  # declared nowhere: refused before any password is asked
_SECURE = "SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl"


@dataclass(frozen=True)
class Case:
    """A client that must be refused, and the words by which it is."""

    id: str
    title: str
    address: PgAddress
    words: tuple[str, ...]
    hint: str


def outside_database(context: Context) -> Outcome:
    """Connect as clients do: verified, then wrong in each way. Changes nothing."""
    settings = context.settings
    declared = settings.hardening.certificate
    if declared is None:
        return undeclared("database")
    password = context.aws.get_secret(settings.postgres.operator_password_secret)
    context.journal.keep_secret(password)
    ca_file = trusted_file(declared)
    findings = [judge_logins(context.ask(LOGINS)), judge_rules(context.ask(RULES))]
    table: list[dict[str, Any]] = []
    measures: dict[str, Any] = {}
    if settings.postgres.connect == "ssh_tunnel":
        with context.ssh.forward(settings.postgres.port) as port:
            way_in = _verified(settings, "127.0.0.1", port, ca_file)
            findings += _admitted(way_in, password, table, measures)
            cases = identity_cases(way_in, strange_authority(context.folder))
            findings += _refused(context, cases, password, table)
    else:
        findings.append(judge_listens(context.ask(listens(settings.postgres.port))))
        way_in = _verified(settings, settings.host.address, settings.postgres.port, ca_file)
        findings += _admitted(way_in, password, table, measures)
        cases = identity_cases(way_in, strange_authority(context.folder))
        cases += access_cases(settings, way_in)
        findings += _refused(context, cases, password, table)
    refused = sum(row["result"] == "refused" for row in table)
    return Outcome(
        summary=f"Role `{settings.postgres.operator_role}` verified the server "
        f"({measures.get('database.tls', 'not let in')}); {refused} other clients were refused.",
        table=table,
        findings=findings,
        measures=measures,
    )


outside_database.probe = True  # type: ignore[attr-defined]


def _verified(settings: Settings, where: str, port: int, ca_file: str) -> PgAddress:
    declared = settings.hardening.certificate
    name = certificate_name(declared) if declared else where
    return PgAddress(
        host=name,
        hostaddr=where,
        port=port,
        dbname="postgres",
        user=settings.postgres.operator_role,
        sslmode="verify-full",
        sslrootcert=ca_file,
        connect_timeout=10,
    )


def identity_cases(way_in: PgAddress, strange_ca: str) -> list[Case]:
    """The server is not whom the client takes it for: the client must not go on."""
    return [
        Case(
            "other-ca",
            "A client that trusts another CA does not go on",
            replace(way_in, sslrootcert=strange_ca),
            ("certificate verify failed",),
            "the client must verify: sslmode=verify-full",
        ),
        Case(
            "wrong-name",
            "A client that asks for another name does not go on",
            replace(way_in, host="another.name.invalid"),
            ("does not match host name",),
            "the certificate is for too many names",
        ),
    ]


def access_cases(settings: Settings, way_in: PgAddress) -> list[Case]:
    """pg_hba.conf refuses: without TLS, the superuser, who is not declared, another database."""
    no_entry, rejects = "no pg_hba.conf entry", "pg_hba.conf rejects"
    hint = "stage `postgres-hba` generates pg_hba.conf; an earlier line may have won"
    plain = replace(way_in, sslmode="disable", sslrootcert="")
    found = [
        Case("plain", "Without TLS the server refuses", plain, (no_entry, rejects), hint),
        Case(
            "superuser",
            "The superuser is refused from outside",
            replace(way_in, user="postgres"),
            (rejects, no_entry),
            hint,
        ),
        Case(
            "undeclared-role",
            "A role that nobody has declared is refused before it may guess",
            replace(way_in, user=_NOBODY),
            (no_entry, rejects),
            hint,
        ),
    ]
    everywhere = {a.role for a in settings.hardening.database_access if a.database == "all"}
    for access in settings.hardening.database_access:
        own = {a.database for a in settings.hardening.database_access if a.role == access.role}
        other = next(d for d in ("postgres", "template1", "template0") if d not in own)
        if access.role not in everywhere:
            found.append(
                Case(
                    f"other-database.{access.role}",
                    f"{access.role} is refused in a database that is not its own",
                    replace(way_in, user=access.role, dbname=other),
                    (no_entry, rejects),
                    hint,
                )
            )
    return list({case.id: case for case in found}.values())


def _admitted(
    way_in: PgAddress, password: Secret, table: list[dict[str, Any]], measures: dict[str, Any]
) -> list[Finding]:
    """The positive control: without it no refusal would mean anything."""
    title = "A client that verifies chain and name gets in"
    client = Postgres(way_in, password)
    try:
        row = client.query(_SECURE)[0]
        said = f"{row['version']}, {row['cipher']}"
        measures["database.tls"] = said
    except (ChronosError, IndexError) as error:
        said = str(getattr(error, "value", error))
    finally:
        client.close()
    passed = "database.tls" in measures and row["version"] in ("TLSv1.2", "TLSv1.3")
    result = "let in" if "database.tls" in measures else "refused"
    table.append({"client": "verify-full", "wanted": "let in", "result": result, "said": said})
    return [
        judge(
            "database.verified",
            title,
            passed=passed,
            observed=said,
            expected="TLS 1.2 or newer",
            hint="is 5432 open here, the name in the certificate, trusted_ca_file its root?",
            requirement="H5",
        )
    ]


def _refused(
    context: Context, cases: list[Case], password: Secret, table: list[dict[str, Any]]
) -> list[Finding]:
    found = []
    for case in cases:
        context.say(f"{case.title} …")
        said = refusal(case.address, password)
        refused = said is not None and any(words in said for words in case.words)
        result = "refused" if refused else "let in" if said is None else "not known"
        table.append(
            {"client": case.id, "wanted": "refused", "result": result, "said": said or "let in"}
        )
        found.append(
            judge(
                f"database.refused.{case.id}",
                case.title,
                passed=None if result == "not known" else refused,
                observed=said or "let in",
                expected=" or ".join(case.words),
                hint=case.hint,
                requirement="H5",
            )
        )
    return found


def refusal(address: PgAddress, password: Secret) -> str | None:
    """Why the client did not get in; None: it did."""
    client = Postgres(address, password)
    try:
        client.query("SELECT 1")
    except ChronosError as error:
        return str(error.value)
    finally:
        client.close()
    return None


# -- on the host


def judge_logins(logins: tuple[Login, ...]) -> Finding:
    """A password that is kept as md5 is as good as the password itself to who reads it."""
    weak = [login.name for login in logins if login.password not in ("scram", "none")]
    return judge(
        "database.passwords",
        "Every password is kept as SCRAM-SHA-256",
        passed=not weak,
        observed=f"otherwise: {', '.join(weak)}" if weak else f"{len(logins)} roles may log in",
        expected="scram, or no password",
        hint="\\password ROLE sets it anew (password_encryption is scram-sha-256 now)",
        requirement="H5",
    )


def judge_rules(rules: tuple[Rule, ...]) -> Finding:
    """The file as the server would read it now: what is wrong there is ignored, or refuses all."""
    wrong = [f"line {rule.line}: {rule.error}" for rule in rules if rule.error]
    wrong += [
        f"line {rule.line}: {rule.kind} {rule.method}"
        for rule in rules
        if rule.method in ("trust", "md5", "password", "ident")
        or (rule.kind in ("host", "hostnossl") and rule.method != "reject" and not _own(rule))
    ]
    return judge(
        "database.rules",
        "pg_hba.conf has no error, no weak method, and nothing without TLS from outside",
        passed=not wrong,
        observed="; ".join(wrong) or f"{len(rules)} rules",
        expected="TLS and scram from outside; peer or scram on the host",
        hint="stage `postgres-hba`",
        requirement="H5",
    )


def _own(rule: Rule) -> bool:
    return rule.address in ("127.0.0.1", "::1", "samehost", "localhost")


def judge_listens(addresses: tuple[str, ...]) -> Finding:
    """After a reboot PostgreSQL may be left with loopback only, its unit active (failures 20)."""
    outside = [a for a in addresses if not a.startswith(("127.", "[::1]"))]
    return judge(
        "database.listens",
        "PostgreSQL listens on more than loopback",
        passed=bool(outside),
        observed=", ".join(addresses) or "on nothing",
        expected="0.0.0.0 and [::]",
        hint="listen_addresses = '*' (a single address may not be there yet at boot); restart",
        requirement="H5",
    )
