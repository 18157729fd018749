"""WAL archiving into the repositories (B3): archive_mode, archive_command, archive_timeout."""

import re
from typing import Any

from chronos_ops.facts import postgres
from chronos_ops.facts.backups import info
from chronos_ops.facts.postgres import Identity, Setting
from chronos_ops.facts.postgres_files import CONFIG_FILES, ConfigFiles
from chronos_ops.model.plan import Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.drop_in import Wanted, drop_in_change, overriding, restart_refusals

FILE_NAME = "90-chronos-archiving.conf"
_NAMES = ("archive_mode", "archive_command", "archive_timeout", "wal_level", "archive_library")
_LIBRARY_SINCE = 150000
_EMPTY = ("", "(disabled)")


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What must be known before archiving is touched."""
    return {
        "clusters": postgres.CLUSTERS,
        "identity": postgres.IDENTITY,
        "settings": postgres.settings(*_NAMES),
        "files": CONFIG_FILES,
        "info": info(settings.backup.stanza),
    }


def archive_command(stanza: str) -> str:
    """What PostgreSQL runs for every full segment."""
    return f"pgbackrest --stanza={stanza} archive-push %p"


# One plain command: no shell operator, no other program before it. `… || true` tells PostgreSQL
# that a segment is safe which was never stored.
_OPTION = r"--[a-z0-9-]+(?:=[\w./:@,+-]+)?"
_PUSH = re.compile(
    rf"(?:/\S*/)?pgbackrest(?P<before>(?:\s+(?:--stanza\s+[\w.-]+|{_OPTION}))*)\s+archive-push"
    rf"(?P<after>(?:\s+{_OPTION})*)\s+(?P<quote>\"?)%p(?P=quote)"
)


def archives_to(command: str) -> str | None:
    """The stanza that a command pushes to with pgBackRest; None: it is another command."""
    match = _PUSH.fullmatch(command.strip())
    if match is None:
        return None
    stanza = re.search(r"--stanza[=\s]\s*(\S+)", f"{match['before']} {match['after']}")
    return stanza[1] if stanza else ""


def wanted_settings(settings: Settings, current: dict[str, Setting]) -> tuple[Wanted, ...]:
    """Archiving on; a pgBackRest command of this stanza is adopted as it stands."""
    backup = settings.backup
    command = current["archive_command"].value
    adopted = (command,) if archives_to(command) == backup.stanza else ()
    timeout = backup.archive_timeout_seconds
    shorter = tuple(str(seconds) for seconds in range(1, timeout))
    wanted = [
        Wanted("archive_mode", "on", accepts=("always",)),
        Wanted("archive_command", archive_command(backup.stanza), accepts=adopted),
        Wanted("archive_timeout", str(timeout), accepts=shorter),
    ]
    if current["wal_level"].value != "logical":
        wanted.append(Wanted("wal_level", "replica"))
    return tuple(wanted)


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Our drop-in with archiving on. What somebody else archives with is refused, not replaced."""
    name = "wal-archiving"
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=name, refusals=(missing_cluster(settings, values["clusters"]),))
    files: ConfigFiles = values["files"]
    current: dict[str, Setting] = values["settings"]
    wanted = wanted_settings(settings, current)
    refusals = _refusals(settings, values["identity"], current)
    refusals += overriding(wanted, current, files, f"{files.drop_in_directory}/{FILE_NAME}")
    change = drop_in_change(
        identifier="postgres.archiving",
        title="turn WAL archiving on",
        why="recovery to any moment needs every WAL segment in the repositories; "
        f"archive_timeout {settings.backup.archive_timeout_seconds} s bounds the loss (B3)",
        file_name=FILE_NAME,
        purpose="WAL goes to the pgBackRest repositories",
        wanted=wanted,
        settings=current,
        files=files,
        cluster=cluster,
    )
    refusals += restart_refusals(change, values["info"])
    return Plan(
        name=name,
        changes=(change,) if change else (),
        noop_reason="" if change else "WAL archiving is on, as declared",
        refusals=tuple(refusals),
    )


def _refusals(settings: Settings, identity: Identity, current: dict[str, Setting]) -> list[str]:
    found: list[str] = []
    if identity.in_recovery:
        found.append("this cluster is in recovery (a standby): back up its primary")
    command = current["archive_command"].value
    stanza = archives_to(command)
    if command not in _EMPTY and stanza is None:
        where = current["archive_command"].source_file or "its default"
        found.append(
            f"archive_command is another's ({command!r}, {where}): WAL would stop going there. "
            "Take it out when nobody needs it any more; one of pgBackRest is adopted only as a "
            "plain `pgbackrest … archive-push %p`, whose failure PostgreSQL is told"
        )
    elif stanza is not None and stanza != settings.backup.stanza:
        found.append(
            f"archive_command pushes to stanza {stanza!r}, declared is "
            f"{settings.backup.stanza!r}: set backup.stanza in the parameter file to adopt it"
        )
    library = current.get("archive_library")
    if library is not None and library.value:
        found.append(f"archive_library is set ({library.value!r}) and excludes archive_command")
    return found


ARCHIVING = Stage("wal-archiving", facts, plan)
