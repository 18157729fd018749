"""pgBackRest's configuration: by what the release can do and the host has (B2, B3, B4)."""

import re
from typing import Any

from chronos_ops.facts import files, iam, pgbackrest, postgres, system
from chronos_ops.facts.iam import AccessKey
from chronos_ops.facts.pgbackrest import CONFIG_PATH, DEBIAN_CONFIG_PATH, MASK, ConfigFile, Version
from chronos_ops.facts.postgres import Cluster
from chronos_ops.facts.secret_store import secret_hash
from chronos_ops.model.plan import Change, Deed, Plan, RemoveFile, RunCommand, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Backup, Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.identity import key_id_secret, key_secret
from chronos_ops.plans.templating import render

MARKER = "# Written by chronos-ops. A change by hand is seen as drift by the next run."
CA_PATH = "/etc/pgbackrest/chronos-s3-ca.pem"
KEPT = f"{CONFIG_PATH}.before-chronos"
_MOST_PROCESSES = 8
_ZST_SINCE: Version = (2, 27)
_BLOCK_SINCE: Version = (2, 46)  # 2.45 has the option "for beta testing only"
_MASKED = re.compile(r"^(repo\d+-(?:s3-key|s3-key-secret|cipher-pass)=).*$", re.MULTILINE)


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What must be known of pgBackRest on the host."""
    return {
        "version": pgbackrest.VERSION,
        "options": pgbackrest.BACKUP_OPTIONS,
        "config": pgbackrest.CONFIG,
        "ca": files.texts(CA_PATH),
        "cores": system.CORES,
        "clusters": postgres.CLUSTERS,
        "keys": iam.access_keys(settings.backup.host_iam_user),
        "host_hash": pgbackrest.PASSPHRASE_HASH,
        "kept_hash": secret_hash(settings.backup.cipher_secret),
    }


def _storage(backup: Backup, options: frozenset[str]) -> dict[str, str]:
    """Where the endpoint really is, if not at its own name on port 443."""
    family = "storage" if "repo-storage-host" in options else "s3"  # the older name
    found: dict[str, str] = {}
    if backup.host_s3_address is not None:
        found[f"{family}-host"] = backup.host_s3_address
    if backup.host_s3_port is not None:
        found[f"{family}-port"] = str(backup.host_s3_port)
    if backup.host_s3_ca is not None:
        found[f"{family}-ca-file"] = CA_PATH
    return found


def _repos(backup: Backup) -> list[dict[str, Any]]:
    repos: list[dict[str, Any]] = [
        {
            "path": backup.prefix,
            "retention": {
                "retention-full": backup.retention_full,
                "retention-diff": backup.retention_diff,
            },
        }
    ]
    if backup.long_term is not None:
        retention = {
            "retention-full-type": "time",
            "retention-full": backup.long_term.retention_days,
            "retention-archive-type": "full",
            "retention-archive": 1,
        }
        repos.append({"path": backup.long_term_prefix, "retention": retention})
    return repos


def config_text(
    settings: Settings,
    *,
    data_directory: str,
    cores: int,
    version: Version,
    options: frozenset[str],
) -> str:
    """The file, with `@{secret:NAME}` where secrets belong. Options follow the release (facts)."""
    backup = settings.backup
    modern = version >= _ZST_SINCE
    return render(
        "pgbackrest.conf.j2",
        marker=MARKER,
        repos=_repos(backup),
        bucket=backup.bucket,
        region=settings.aws.region,
        endpoint=backup.host_s3_endpoint or f"s3.{settings.aws.region}.amazonaws.com",
        uri_style=backup.host_s3_uri_style,
        key_id_secret=key_id_secret(backup),
        key_secret=key_secret(backup),
        cipher_secret=backup.cipher_secret,
        storage=_storage(backup, options),
        bundle="repo-bundle" in options,
        block="repo-block" in options and version >= _BLOCK_SINCE,
        compress_type="zst" if modern else "gz",
        wal_compress_type="lz4" if modern else "gz",
        processes=max(1, min(cores, _MOST_PROCESSES)),
        archive_async=True,
        archive_get_queue_max="512MiB",
        stanza=backup.stanza,
        data_directory=data_directory,
        pg_port=settings.postgres.port,
    )


def masked(text: str) -> str:
    """A configuration with its key and secrets masked: what a diff may show."""
    return _MASKED.sub(rf"\g<1>{MASK}", text)


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """The configuration file, and the CA of the endpoint where one is declared."""
    name = "pgbackrest-config"
    cluster = declared_cluster(settings, values["clusters"])
    refusals: list[str] = []
    if cluster is None:
        refusals.append(missing_cluster(settings, values["clusters"]))
    if values["version"] is None:
        refusals.append("pgBackRest is not installed: the stage `packages` comes first")
    refusals += _foreign(settings, values["config"])
    refusals += _other_cipher(settings, values)
    if cluster is None or values["version"] is None:
        return Plan(name=name, refusals=tuple(refusals))
    changes = [
        change
        for change in (_ca(settings, values), _config(settings, values, cluster))
        if change is not None
    ]
    return Plan(
        name=name,
        changes=tuple(changes),
        noop_reason="" if changes else f"{CONFIG_PATH} is as declared",
        refusals=tuple(refusals),
    )


def _same_repository(settings: Settings, file: ConfigFile) -> bool:
    backup = settings.backup
    return (
        file.stanzas == [backup.stanza]
        and file.option("global", "repo1-s3-bucket") == backup.bucket
        and file.option("global", "repo1-path") == backup.prefix
    )


def _foreign(settings: Settings, config: dict[str, ConfigFile]) -> list[str]:
    """What somebody else configured: adopted if it is this very repository, else refused."""
    found: list[str] = []
    main = config.get(CONFIG_PATH)
    effective = main or config.get(DEBIAN_CONFIG_PATH)
    if (
        effective is not None
        and effective.stanzas
        and MARKER not in effective.text
        and not _same_repository(settings, effective)
    ):
        stanzas = ", ".join(effective.stanzas)
        found.append(
            f"{effective.path} configures stanza {stanzas} by another hand: name its stanza, "
            "bucket and path in the parameter file to adopt it, or move the file away"
        )
    for path, file in config.items():
        if path not in (CONFIG_PATH, DEBIAN_CONFIG_PATH) and any(file.options.values()):
            found.append(f"{path} would be mixed with ours: move its options away")
    return found


def _other_cipher(settings: Settings, values: dict[str, Any]) -> list[str]:
    """A repository's cipher is fixed for good: writing another one locks the host out (B4)."""
    config: dict[str, ConfigFile] = values["config"]
    effective = config.get(CONFIG_PATH) or config.get(DEBIAN_CONFIG_PATH)
    if effective is None or not _same_repository(settings, effective):
        return []
    secret, host, kept = settings.backup.cipher_secret, values["host_hash"], values["kept_hash"]
    if effective.option("global", "repo1-cipher-type") in (None, "none"):
        return [
            (
                f"{effective.path} uses this repository without encryption, and that cannot be "
                "changed later: declare another backup.prefix (or bucket), and let the old one "
                "expire"
            )
        ]
    if host is None or host == kept:
        return []
    return [
        f"{effective.path} has another passphrase than {secret}"
        + (" (which is not there)" if kept is None else "")
        + ": store the one that opens the repository, the host's own if `pgbackrest info` works "
        f"there (`aws ssm put-parameter --overwrite --type SecureString --name {secret} "
        "--value file://...`)"
    ]


def _key_in_use(config: ConfigFile, keys: list[AccessKey]) -> bool:
    """Whether the host's key is one that IAM still honours."""
    return config.option("global", "repo1-s3-key") in {k.id for k in keys if k.active}


def _config(settings: Settings, values: dict[str, Any], cluster: Cluster) -> Change | None:
    text = config_text(
        settings,
        data_directory=cluster.data_directory,
        cores=values["cores"],
        version=values["version"],
        options=values["options"],
    )
    current: ConfigFile | None = values["config"].get(CONFIG_PATH)
    adopted = current or values["config"].get(DEBIAN_CONFIG_PATH)
    if (
        current is not None
        and masked(current.text) == masked(text)
        and (current.mode, current.owner) == ("640", "postgres:postgres")
        and _key_in_use(current, values["keys"])
    ):
        return None
    keep: tuple[Deed, ...] = ()
    undo: tuple[Deed, ...] = (RemoveFile(path=CONFIG_PATH),)
    if current is not None:
        keep = (RunCommand(argv=("cp", "-a", "--", CONFIG_PATH, KEPT)),)
        undo = (RunCommand(argv=("mv", "-f", "--", KEPT, CONFIG_PATH)),)
    write = WriteFile(
        path=CONFIG_PATH, content=text, owner="postgres", group="postgres", mode="0640"
    )
    return Change(
        id="pgbackrest.config",
        title="configure pgBackRest",
        why="two encrypted repositories in S3, restore speed by the host's cores (B3, B4)",
        deeds=(*keep, write),
        undo=undo,
        before=_shown_before(adopted, values["keys"]),
        after=masked(text),
    )


def _shown_before(current: ConfigFile | None, keys: list[AccessKey]) -> str:
    if current is None or not current.stanzas:
        return ""
    note = "" if _key_in_use(current, keys) else "# its access key is not an active one\n"
    if current.path == CONFIG_PATH and (current.mode, current.owner) != (
        "640",
        "postgres:postgres",
    ):
        note += f"# mode {current.mode}, owner {current.owner}\n"
    return note + masked(current.text)


def _ca(settings: Settings, values: dict[str, Any]) -> Change | None:
    wanted = settings.backup.host_s3_ca_text()
    current = values["ca"][CA_PATH]
    if wanted is None or current == wanted:
        return None
    undo: Deed = (
        RemoveFile(path=CA_PATH) if current is None else WriteFile(path=CA_PATH, content=current)
    )
    return Change(
        id="pgbackrest.ca",
        title="trust the declared CA for the S3 endpoint",
        why="the endpoint's certificate is not signed by a public CA",
        deeds=(WriteFile(path=CA_PATH, content=wanted),),
        undo=(undo,),
        before=current or "",
        after=wanted,
    )


PGBACKREST_CONFIG = Stage("pgbackrest-config", facts, plan)
