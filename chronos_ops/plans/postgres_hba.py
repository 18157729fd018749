"""pg_hba.conf, written whole: from outside TLS, scram, and the declared roles alone (H5).

What another hand wrote for this machine itself (socket, loopback) stays, with scram for md5 and
password, and peer for ident on the socket. Everything else of another hand goes: each such line
that lets somebody in is a refusal (plans/hba_lockout.py) unless a declared role replaces it.
A `reject`, and a comment, go unasked: they are in the diff.

The operators' block is the backup runbook's own text (plans/access.py): either runbook finds it as
it wants it, whichever ran last.
"""

from typing import Any

from chronos_ops.facts import postgres
from chronos_ops.facts.hba import Line, records
from chronos_ops.facts.postgres_access import LOGINS, VISITORS, Login
from chronos_ops.facts.postgres_files import CONFIG_FILES, ConfigFiles
from chronos_ops.model.plan import Change, Effect, Plan, RunSql, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.access import hba_block
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.hba_lines import OURS, SOCKET, kept, of_another_hand
from chronos_ops.plans.hba_lockout import locked_out

HEAD = """\
# Written by chronos-ops from its parameter file. What is marked hardening.database_access, and the
# block at the end, is changed there: by hand it is taken back. Lines by hand for this machine
# itself (socket, loopback) stay; at any other that lets somebody in the next run stops.
# TYPE   DATABASE     USER               ADDRESS             METHOD
"""
_LOOK_FIRST = """
DO $$
DECLARE wrong text;
BEGIN
    SELECT string_agg(format('line %s: %s', line_number, error), E'\\n') INTO wrong
    FROM pg_hba_file_rules WHERE error IS NOT NULL;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'PostgreSQL would not accept pg_hba.conf: %', wrong;
    END IF;
END $$;
"""


def database_networks(settings: Settings) -> tuple[str, ...]:
    """Where clients may come from (H1)."""
    declared = settings.hardening.firewall.database_networks
    return settings.postgres.operator_networks if declared is None else declared


def facts(_: Settings) -> dict[str, Fact[Any]]:
    """The file, the roles, and who is connected now."""
    return {
        "clusters": postgres.CLUSTERS,
        "files": CONFIG_FILES,
        "logins": LOGINS,
        "visitors": VISITORS,
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """The whole file; whoever would lose the way in is a refusal that names role or line."""
    name = "postgres-hba"
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=name, refusals=(missing_cluster(settings, values["clusters"]),))
    files: ConfigFiles = values["files"]
    logins: tuple[Login, ...] = values["logins"]
    text = hba_text(settings, files.hba_text, [r.name for r in logins if r.superuser])
    return Plan(
        name=name,
        changes=() if text == files.hba_text else (_change(files, text),),
        noop_reason="" if text != files.hba_text else "pg_hba.conf is as declared",
        refusals=locked_out(settings, files.hba_text, text, logins, values["visitors"]),
    )


def hba_text(settings: Settings, current: str, superusers: list[str]) -> str:
    """The wanted file: what stays of `current` (plans/hba_lines.py), then what is declared."""
    lines = [SOCKET]
    for line in records(of_another_hand(current)):
        if (stays := kept(line)) and stays not in lines:
            lines.append(stays)
    refused = [Line("host", "all", _quoted(role), "all", "reject") for role in superusers]
    outside = []
    networks = database_networks(settings)
    for access in settings.hardening.database_access:
        keyword = access.database in ("all", "replication")
        database = access.database if keyword else _quoted(access.database)
        for network in networks if access.networks is None else access.networks:
            outside.append(
                Line("hostssl", database, _quoted(access.role), network, "scram-sha-256")
            )
    return (
        HEAD
        + "".join(f"{line.text()}\n" for line in lines)
        + "# From outside: TLS and scram, never a superuser; whatever is not named is refused.\n"
        + "".join(f"{line.text()}\n" for line in refused)
        + "".join(f"{line.text()}  {OURS}\n" for line in outside)
        + hba_block(settings)
    )


def _quoted(name: str) -> str:
    """A keyword, or a name that is more than letters, is quoted."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and name.lower() == name
    keyword = name in ("all", "sameuser", "samerole", "samegroup", "replication")
    return name if plain and not keyword else f'"{name}"'


def _change(files: ConfigFiles, text: str) -> Change:
    look, reload = RunSql(sql=_LOOK_FIRST), RunSql(sql="SELECT pg_reload_conf();")

    def write(content: str) -> WriteFile:
        return WriteFile(
            path=files.hba_file, content=content, owner="postgres", group="postgres", mode="0640"
        )

    return Change(
        id="postgres.hba-file",
        title="generate pg_hba.conf from the parameters",
        why="TLS and scram only, no superuser and no undeclared role from outside (H5)",
        deeds=(write(text), look, reload),
        undo=(write(files.hba_text), reload),
        before=files.hba_text,
        after=text,
        effect=Effect.RELOAD,
    )


POSTGRES_HBA = Stage("postgres-hba", facts, plan)
