"""PostgreSQL over TLS with the host's certificate, scram alone, on all addresses (H5)."""

from typing import Any

from chronos_ops.facts import postgres
from chronos_ops.facts.backups import info
from chronos_ops.facts.postgres_files import CONFIG_FILES, ConfigFiles
from chronos_ops.model.plan import Change, Plan, RunCommand
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.certificate import SERVER_CERT, SERVER_KEY
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.drop_in import Wanted, drop_in_change, overriding, restart_refusals

FILE_NAME = "85-chronos-tls.conf"
# Mozilla's "intermediate": forward secrecy and authenticated encryption for TLS 1.2.
CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
# A key that the server cannot read keeps it from starting again: look before it is told.
_LOOK_FIRST = 'test -r "$1" && test -r "$2" && test "$(stat -L -c %a "$2")" = 600'


def wanted_settings(settings: Settings) -> tuple[Wanted, ...]:
    """On all addresses: with a single one PostgreSQL may lose the race at boot (failures 20)."""
    found = [
        Wanted("ssl", "on"),
        Wanted("ssl_min_protocol_version", "TLSv1.2", accepts=("TLSv1.3",)),
        Wanted("ssl_ciphers", CIPHERS),
        Wanted("ssl_prefer_server_ciphers", "on"),
        Wanted("password_encryption", "scram-sha-256"),
    ]
    if settings.postgres.connect == "tcp":
        found.append(Wanted("listen_addresses", "*", accepts=("0.0.0.0,::", "::,0.0.0.0")))
    if settings.hardening.certificate is not None:
        found += [Wanted("ssl_cert_file", SERVER_CERT), Wanted("ssl_key_file", SERVER_KEY)]
    return tuple(found)


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """The settings in effect, where they stand, and whether a backup runs."""
    return {
        "clusters": postgres.CLUSTERS,
        "settings": postgres.settings(*(w.name for w in wanted_settings(settings))),
        "files": CONFIG_FILES,
        "info": info(settings.backup.stanza),
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """One drop-in; a restart only where PostgreSQL does not listen on all addresses yet."""
    name = "postgres-tls"
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=name, refusals=(missing_cluster(settings, values["clusters"]),))
    files: ConfigFiles = values["files"]
    wanted = wanted_settings(settings)
    change = drop_in_change(
        identifier="postgres.tls",
        title="PostgreSQL over TLS, with the host's certificate",
        why="a client can verify who answers, and nobody in between reads along (H5)",
        file_name=FILE_NAME,
        purpose="TLS and scram (H5)",
        wanted=wanted,
        settings=values["settings"],
        files=files,
        cluster=cluster,
    )
    path = f"{files.drop_in_directory}/{FILE_NAME}"
    refusals = overriding(wanted, values["settings"], files, path)
    refusals += restart_refusals(change, values["info"])
    return Plan(
        name=name,
        changes=() if change is None else (_looking_first(settings, change),),
        noop_reason="" if change else "TLS, the certificate and scram are in effect",
        refusals=tuple(refusals),
    )


def _looking_first(settings: Settings, change: Change) -> Change:
    if settings.hardening.certificate is None:
        return change
    look = RunCommand(
        argv=("sh", "-c", _LOOK_FIRST, "look", SERVER_CERT, SERVER_KEY), user="postgres"
    )
    return change.model_copy(update={"deeds": (look, *change.deeds)})


POSTGRES_TLS = Stage("postgres-tls", facts, plan)
