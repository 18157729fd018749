"""pgBackRest on a drill host: how the repository is reached, and what is in it."""

import time

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.target import HAS_BACKUP, Reach, reach_of
from chronos_ops.execution.apply import apply
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups, wal_archive
from chronos_ops.facts.backups import StanzaInfo
from chronos_ops.facts.pgbackrest import BACKUP_OPTIONS, CONFIG_PATH, VERSION
from chronos_ops.facts.system import CORES
from chronos_ops.model.errors import CommandFailed, Refused, Rule
from chronos_ops.model.plan import Change, Deed, Plan, WriteFile
from chronos_ops.model.settings import Settings
from chronos_ops.plans.pgbackrest_config import CA_PATH, config_text, masked

READABLE = Rule(
    "drill.repository.readable",
    "the drill host can read the repository",
    "pgBackRest's info answers with the reader's key and the passphrase of the secret store",
    "D4",
)
KEY_SECONDS = 90.0  # a new access key is known everywhere in some seconds


def configure(context: Context, ssh: Ssh, settings: Settings, data_directory: str) -> None:
    """Write pgbackrest.conf with the reader's key and the passphrase from the secret store."""
    version = context.ask(VERSION, ssh)
    if version is None:
        raise Refused("pgBackRest is not installed", ssh.address.host)
    text = config_text(
        settings,
        data_directory=data_directory,
        cores=context.ask(CORES, ssh),
        version=version,
        options=context.ask(BACKUP_OPTIONS, ssh),
    )
    deeds: list[Deed] = [WriteFile(path=CONFIG_PATH, content=text, group="postgres", mode="0640")]
    ca = settings.backup.host_s3_ca_text()
    if ca is not None:
        deeds.append(WriteFile(path=CA_PATH, content=ca))
    change = Change(
        id="drill.pgbackrest",
        title="point pgBackRest at the repository (read only)",
        why="restore and recovery fetch backup and WAL from it",
        deeds=tuple(deeds),
        after=masked(text),
    )
    apply(Plan(name="drill host's pgBackRest", changes=(change,)), context, ssh=ssh)


def look(context: Context, ssh: Ssh, stanza: str) -> StanzaInfo:
    """What the repository holds, waiting while a new access key is not known everywhere.

    Raises Refused (no such stanza, no backup), CommandFailed.
    """
    deadline = time.monotonic() + KEY_SECONDS
    while True:
        info = context.ask(backups.info(stanza), ssh)
        first = info.repository(1) if info else None
        if info is not None and first is not None and first.code == backups.OK:
            return info
        if first is None or first.code in (backups.MISSING_STANZA, backups.NO_BACKUP):
            said = first.message if first else "no such stanza"
            raise Refused(
                f"the repository has nothing of stanza {stanza!r}",
                said,
                hint="is it the right repository and stanza? Run the backup runbook first",
                breaks=HAS_BACKUP,
            )
        if time.monotonic() > deadline:
            raise CommandFailed(
                "pgbackrest info",
                1,
                first.message,
                hint="the key, the bucket or the passphrase is not right: a run of the "
                "backup runbook with `check_only` names which",
                breaks=READABLE,
            )
        time.sleep(1.0)


def reach(context: Context, ssh: Ssh, stanza: str, info: StanzaInfo, database: int) -> Reach:
    """What of a cluster can be restored from it: backup sets, and the newest WAL by timeline."""
    listing = context.ask(wal_archive.archive_listing(stanza, 1), ssh)
    archive_id = info.archive_id(1, database) or ""
    found = context.ask(wal_archive.histories(stanza, 1, archive_id), ssh) if archive_id else None
    return reach_of(info.of_repo(1), listing.archives.get(archive_id), found)
