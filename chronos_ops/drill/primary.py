"""The run's own primary (synthetic mode, D3): host, stanza, prefix, passphrase and users are the
run's own and go with it. Backed up by the same plans as the declared host.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from chronos_ops.connectors.postgres import PgAddress
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill import locales, sample
from chronos_ops.drill.hosts import host_name, install_log, new_host
from chronos_ops.drill.install import install, main_cluster
from chronos_ops.drill.integrity import conninfo
from chronos_ops.execution.apply import apply
from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import Provisioned
from chronos_ops.facts.backups import SOURCE_ANNOTATION
from chronos_ops.facts.postgres import IDENTITY, Identity
from chronos_ops.facts.source import source_text
from chronos_ops.model.plan import EmptyPrefix, Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import Settings
from chronos_ops.plans import access, archiving, cipher, identity, pgbackrest_config, stanza

Ask = Callable[[Settings], dict[str, Fact[Any]]]
Think = Callable[[Settings, dict[str, Any]], Plan]


def own_settings(settings: Settings, run_id: str, instance: str) -> Settings:
    """The target's settings for a primary of this run: repo1 only, all names carry the run."""
    secrets = f"/chronos/drills/{run_id}"
    backup = settings.backup.model_copy(
        update={
            "stanza": "drill",
            "prefix": f"/drills/{run_id}",
            "long_term": None,
            "host_iam_user": f"chronos-drill-{run_id}",
            "cipher_secret": f"{secrets}/cipher-pass",
            "host_key_secret": f"{secrets}/host-key",
        }
    )
    postgres = settings.postgres.model_copy(
        update={
            "cluster": "main",
            "port": 5432,
            "extensions": sample.EXTENSIONS,
            "operator_password_secret": f"{secrets}/operator-password",
            "connect": "tcp",
        }
    )
    host = settings.host.model_copy(update={"instance": instance, "port": 22})
    return settings.model_copy(update={"backup": backup, "postgres": postgres, "host": host})


@dataclass(frozen=True)
class Primary:
    """What the run made to lose."""

    provisioned: Provisioned
    ssh: Ssh
    settings: Settings
    major: str
    identity: Identity

    @property
    def bin_dir(self) -> str:
        return f"/usr/lib/postgresql/{self.major}/bin"

    def address(self, database: str = sample.DATABASE, timeout: int = 5) -> PgAddress:
        """The way in from outside, over TLS, as the operators' role."""
        return outside(self.provisioned.address, self.settings, database, timeout)

    def password(self, context: Context) -> Secret:
        """Of the operators' role."""
        return operator_password(context, self.settings)


def outside(host: str, settings: Settings, database: str, timeout: int = 5) -> PgAddress:
    """A database as an application reaches it."""
    return PgAddress(
        host,
        settings.postgres.port,
        database,
        settings.postgres.operator_role,
        connect_timeout=timeout,
    )


def operator_password(context: Context, settings: Settings) -> Secret:
    """The operators' password from the secret store, redacted from now on."""
    secret = context.aws.get_secret(settings.postgres.operator_password_secret)
    context.journal.keep_secret(secret)
    return secret


def provision_primary(context: Context) -> Primary:
    """A host with PostgreSQL; passphrase and IAM user are made while it boots."""
    settings = own_settings(context.settings, context.own_name, host_name(context, "primary"))
    context.journal.resource(
        f"s3:prefix/{settings.backup.bucket}{settings.backup.prefix}",
        (
            EmptyPrefix(
                bucket=settings.backup.bucket,
                prefix=settings.backup.prefix.strip("/") + "/",
                run_id=context.run_id,
            ),
        ),
    )
    own = replace(context, settings=settings)
    with ThreadPoolExecutor(max_workers=1) as pool:
        identities = pool.submit(_make_identities, own)
        provisioned = new_host(context, "primary")
        ssh = context.host(provisioned.ssh_address(settings.postgres.port))
        log = install_log(context, provisioned)
        major = install(own, ssh, settings, log, with_cluster=True).major
        identities.result()
    main_cluster(own, ssh)
    return Primary(provisioned, ssh, settings, major, own.ask(IDENTITY, ssh))


def _make_identities(context: Context) -> None:
    run_id = context.run_id
    for facts, plan in ((cipher.facts, cipher.plan), (identity.facts, identity.plan)):
        values = ask_all(context, facts(context.settings), None)
        apply(plan(context.settings, values, run_id=run_id), context, temporary=True)


def ask_all(context: Context, facts: dict[str, Fact[Any]], ssh: Ssh | None) -> dict[str, Any]:
    """Several facts at once."""
    with ThreadPoolExecutor(max_workers=6) as pool:
        asked = {name: pool.submit(context.ask, fact, ssh) for name, fact in facts.items()}
        return {name: future.result() for name, future in asked.items()}


def set_up(context: Context, primary: Primary, megabytes: int) -> list[str]:
    """Access, pgBackRest, stanza, archiving by the backup runbook's own plans; ids of the changes.

    The sample data are loaded meanwhile: both are ready for the baseline backup then.
    """
    own = replace(context, settings=primary.settings, ssh=primary.ssh)
    done = _carry_out(own, access.facts, partial(access.plan, run_id=context.run_id))
    with ThreadPoolExecutor(max_workers=1) as pool:
        loading = pool.submit(_load_sample, primary, megabytes)
        for part in (pgbackrest_config, stanza, archiving):
            done += _carry_out(own, part.facts, part.plan)
        loading.result()
    return done


def _carry_out(context: Context, facts: Ask, plan: Think) -> list[str]:
    values = ask_all(context, facts(context.settings), context.ssh)
    made = plan(context.settings, values)
    return apply(made, context, allow_restart=True, temporary=True)


def _load_sample(primary: Primary, megabytes: int) -> None:
    """The data to lose (D1)."""
    ssh = primary.ssh
    locales.make(ssh, sample.LOCALE)
    ssh.sql(sample.create_databases())
    ssh.sql(sample.fill_database(megabytes), sample.DATABASE, timeout=6 * 3600)
    ssh.sql(sample.writers_tables(primary.settings.postgres.operator_role), sample.DATABASE)
    ssh.sql(sample.fill_awkward_database(), conninfo(sample.AWKWARD_DATABASE))


def full_backup(context: Context, primary: Primary) -> None:
    """The baseline (D2)."""
    described = context.ask(source_text(primary.settings.postgres.port), primary.ssh)
    primary.ssh.run(
        ["pgbackrest", f"--stanza={primary.settings.backup.stanza}", "--type=full",
         f"--annotation={SOURCE_ANNOTATION}={described}", "--log-level-console=info", "backup"],
        user="postgres", timeout=6 * 3600, log=context.logs / "baseline-backup.log",
    )  # fmt: skip
