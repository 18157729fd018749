"""Steps of the backup runbook about the host itself: its files, its rights, the way in."""

import re

from chronos_ops.connectors.postgres import PgAddress, Postgres
from chronos_ops.execution.context import Context
from chronos_ops.facts import iam
from chronos_ops.facts.files import texts
from chronos_ops.facts.pgbackrest import (
    CONFIG,
    CONFIG_PATH,
    DEBIAN_CONFIG_PATH,
    PASSPHRASE_HASH,
)
from chronos_ops.facts.postgres_files import CONFIG_FILES
from chronos_ops.facts.secret_store import secret_hash
from chronos_ops.model.errors import ChronosError, TransportError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.plans import judge_rights
from chronos_ops.plans.access import FILE_NAME as ACCESS_FILE
from chronos_ops.plans.access import block_of
from chronos_ops.plans.archiving import FILE_NAME as ARCHIVING_FILE
from chronos_ops.plans.jobs import JOB, UNITS, schedules
from chronos_ops.plans.pgbackrest_config import masked

# -- what is written where


def config_files(context: Context) -> Outcome:
    """Every file that this runbook writes on the host, as it stands there (secrets masked)."""
    found = context.ask(CONFIG)
    place = context.ask(CONFIG_FILES)
    ours = {
        f"{place.drop_in_directory}/{name}": text
        for name, text in sorted(place.drop_ins.items())
        if name in (ACCESS_FILE, ARCHIVING_FILE)
    }
    paths = [
        JOB,
        *(f"{UNITS}/{n}" for s in schedules(context.settings) for n in (s.service, s.timer)),
    ]
    effective = [path for path in (CONFIG_PATH, DEBIAN_CONFIG_PATH) if path in found][:1]
    shown: dict[str, str | None] = {path: masked(found[path].text) for path in effective}
    shown |= ours
    shown[place.hba_file] = block_of(place.hba_text)
    files: dict[str, str | None] = context.ask(texts(*paths))
    shown |= files
    return Outcome(
        summary="Secrets are masked on the host, before they travel.",
        table=[
            {"file": path, "lines": text.count("\n") if text else "not there"}
            for path, text in shown.items()
        ],
        text="\n".join(f"==> {path} <==\n{text}" for path, text in shown.items() if text),
    )


config_files.probe = True  # type: ignore[attr-defined]


# -- rights and the passphrase


def rights_check(context: Context) -> Outcome:
    """What the host's key may do, and whether the passphrase lives outside the host (B1, B4)."""
    backup = context.settings.backup
    user = backup.host_iam_user
    names = context.ask(iam.inline_policy_names(user))
    documents = {name: context.ask(iam.inline_policy(user, name)) for name in names}
    findings = [
        judge_rights.judge_rights(
            backup,
            documents,
            context.ask(iam.attached_policies(user)),
            context.ask(iam.groups(user)),
        ),
        judge_rights.judge_keys(backup, context.ask(iam.access_keys(user))),
        _passphrase(context),
    ]
    return Outcome(
        summary="A thief of the host's key could delete, but not for good: the bucket keeps every "
        f"version for {backup.noncurrent_days} days.",
        findings=findings,
    )


rights_check.probe = True  # type: ignore[attr-defined]


def _passphrase(context: Context) -> Finding:
    """The host's passphrase is the one in the secret store (compared by their hashes)."""
    secret = context.settings.backup.cipher_secret
    kept = context.aws.ask_secret_exists(secret)
    if kept:
        context.journal.keep_secret(context.aws.get_secret(secret))  # redacted from now on
    host = context.ask(PASSPHRASE_HASH)
    same = kept and host is not None and host == context.ask(secret_hash(secret))
    return judge(
        "backup.passphrase-outside",
        "The passphrase of the host is the one in the secret store",
        passed=same,
        observed="the same"
        if same
        else f"{secret} is not in the store"
        if not kept
        else "the host has none"
        if host is None
        else "the host has another one",
        expected="the same: the host's loss must not lose it",
        hint="store the host's own: without it no backup of it can ever be read",
        requirement="B4",
    )


# -- the way in


def connection_check(context: Context) -> Outcome:
    """The operators' role gets in from here over TLS, and without TLS it does not."""
    settings = context.settings
    role = settings.postgres.operator_role
    password = context.aws.get_secret(settings.postgres.operator_password_secret)
    context.journal.keep_secret(password)
    if settings.postgres.connect == "ssh_tunnel":
        with context.ssh.forward(settings.postgres.port) as port:
            return Outcome(
                summary="The way in is an SSH tunnel, as declared.",
                findings=[_encrypted(context, PgAddress("127.0.0.1", port, "postgres", role))],
            )
    host, port = settings.host.address, settings.postgres.port
    findings = [_encrypted(context, PgAddress(host, port, "postgres", role))]
    plain = Postgres(PgAddress(host, port, "postgres", role, sslmode="disable"), password)
    try:
        plain.query("SELECT 1")
        refused, said = False, "let in"
    except TransportError as error:
        refused, said = "no encryption" in str(error.value), str(error.value)
    finally:
        plain.close()
    findings.append(
        judge(
            "access.plain-refused",
            "Without TLS the server refuses the role",
            passed=refused,
            observed=said,
            expected="no pg_hba.conf entry … no encryption",
            hint="another line of pg_hba.conf admits `host` connections: make it `hostssl`",
            requirement="H5",
        )
    )
    return Outcome(summary=f"Role `{role}` from here, with and without TLS.", findings=findings)


connection_check.probe = True  # type: ignore[attr-defined]


def _encrypted(context: Context, address: PgAddress) -> Finding:
    password = context.aws.get_secret(context.settings.postgres.operator_password_secret)
    client = Postgres(address, password, context.journal)
    try:
        row = client.query("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0]
        return judge_tls(encrypted=bool(row["ssl"]), version=str(row["version"]))
    except ChronosError as error:
        return judge_tls(encrypted=False, version=str(error.value))
    finally:
        client.close()


def judge_tls(*, encrypted: bool, version: str) -> Finding:
    """Encrypted, and not with a version that is broken (`version`: pg_stat_ssl's, or an error)."""
    number = re.fullmatch(r"TLSv(\d+)(?:\.(\d+))?", version)
    new_enough = number is not None and (int(number[1]), int(number[2] or 0)) >= (1, 2)
    return judge(
        "access.tls",
        "The operators' role gets in over TLS",
        passed=encrypted and new_enough,
        observed=version,
        expected="TLSv1.2 or newer",
        hint="is port 5432 open in both firewalls, and this network in postgres.operator_networks? "
        "An older TLS: set ssl_min_protocol_version = 'TLSv1.2'",
        requirement="H5",
    )
