"""The stanza: the cluster's name in the repositories (B4, B5)."""

from typing import Any

from chronos_ops.facts import postgres
from chronos_ops.facts.backups import MISSING_STANZA, NO_BACKUP, OK, UNUSABLE_INFO, StanzaInfo, info
from chronos_ops.facts.postgres import Identity
from chronos_ops.model.plan import Change, Plan, RunCommand
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What the repositories know of this cluster."""
    return {"info": info(settings.backup.stanza), "identity": postgres.IDENTITY}


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Create it where it is missing. What cannot be read is refused: it may be a lost info file."""
    name, stanza = "stanza", settings.backup.stanza
    found: StanzaInfo | None = values["info"]
    if found is None:
        return Plan(name=name, refusals=("pgBackRest is not installed or not configured",))
    refusals = [*_unreadable(found), *_of_another_cluster(found, values["identity"])]
    missing = [r.key for r in found.repositories if r.code == MISSING_STANZA]
    if not missing:
        return Plan(
            name=name,
            noop_reason=f"stanza {stanza} is in every repository",
            refusals=tuple(refusals),
        )
    where = ", ".join(f"repo{key}" for key in missing)
    change = Change(
        id="pgbackrest.stanza",
        title=f"create the stanza {stanza} in {where}",
        why="it names this cluster and fixes the repository's cipher for good (B4)",
        deeds=(
            RunCommand(
                argv=("pgbackrest", f"--stanza={stanza}", "stanza-create"),
                user="postgres",
            ),
        ),
        before="\n".join(f"repo{r.key}: {r.message}" for r in found.repositories),
        after="\n".join(f"repo{r.key}: ok" for r in found.repositories),
    )  # no undo: deleting a stanza deletes its backups
    return Plan(name=name, changes=(change,), refusals=tuple(refusals))


def _unreadable(found: StanzaInfo) -> list[str]:
    refusals: list[str] = []
    for repo in found.repositories:
        if repo.code in (OK, MISSING_STANZA, NO_BACKUP):
            continue
        first = repo.message.strip().splitlines()[0]
        hint = (
            "backup.info or archive.info cannot be used: deleted, or written with another "
            "passphrase. Bring the former version of the object back, never create the stanza anew"
            if repo.code == UNUSABLE_INFO or "load info file" in repo.message
            else "can the host reach the bucket, and is its key valid?"
        )
        refusals.append(f"repo{repo.key} cannot be read ({repo.code}: {first}): {hint}")
    return refusals


def _of_another_cluster(found: StanzaInfo, identity: Identity) -> list[str]:
    refusals: list[str] = []
    for repo in found.repositories:
        databases = [db for db in found.databases if db.repo == repo.key]
        if databases and databases[-1].system_identifier != identity.system_identifier:
            refusals.append(
                f"repo{repo.key} holds stanza {found.name} of another cluster (system identifier "
                f"{databases[-1].system_identifier}, here {identity.system_identifier}): give "
                "this one another stanza or prefix; after a pg_upgrade run stanza-upgrade"
            )
    return refusals


STANZA = Stage("stanza", facts, plan)
