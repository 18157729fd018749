"""pg_hba.conf from the parameters alone: from outside TLS, scram, and the declared roles (H5).

The operators' block is the backup runbook's own text (plans/access.py): either runbook finds it as
it wants it, whichever ran last.
"""

import ipaddress
from typing import Any

from chronos_ops.facts import postgres
from chronos_ops.facts.hba import Line, records
from chronos_ops.facts.postgres_access import LOGINS, VISITORS, Login, Visitor
from chronos_ops.facts.postgres_files import CONFIG_FILES, ConfigFiles
from chronos_ops.model.plan import Change, Effect, Plan, RunSql, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.access import block_of, hba_block
from chronos_ops.plans.cluster import declared_cluster, missing_cluster

HEAD = """\
# Written by chronos-ops from its parameter file: what is changed here by hand is taken back by
# the next run. Roles of applications are declared in hardening.database_access.
# TYPE   DATABASE     USER               ADDRESS             METHOD
"""
_LOCAL_METHODS = ("peer", "reject", "scram-sha-256", "cert")
_WEAK = ("md5", "password")
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
    """The whole file, generated; nobody who is connected now is locked out unasked."""
    name = "postgres-hba"
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=name, refusals=(missing_cluster(settings, values["clusters"]),))
    files: ConfigFiles = values["files"]
    logins: tuple[Login, ...] = values["logins"]
    text = hba_text(settings, files.hba_text, [r.name for r in logins if r.superuser])
    refusals = _locked_out(settings, text, values["visitors"]) if text != files.hba_text else ()
    refusals += _without_password(settings, logins)
    return Plan(
        name=name,
        changes=() if text == files.hba_text else (_change(files, text),),
        noop_reason="" if text != files.hba_text else "pg_hba.conf is as declared",
        refusals=refusals,
    )


def hba_text(settings: Settings, current: str, superusers: list[str]) -> str:
    """The wanted file. What `current` admits on this machine itself is kept, weak methods not."""
    lines = [Line("local", "all", "postgres", "", "peer")]
    for line in records(current.replace(block_of(current).rstrip("\n") or "\0", "")):
        if (kept := _kept(line)) and kept not in lines:
            lines.append(kept)
    outside = [Line("host", "all", _quoted(role), "all", "reject") for role in superusers]
    networks = database_networks(settings)
    for access in settings.hardening.database_access:
        database = access.database if access.database == "all" else _quoted(access.database)
        for network in networks if access.networks is None else access.networks:
            outside.append(Line("hostssl", database, access.role, network, "scram-sha-256"))
    return (
        HEAD
        + "".join(f"{line.text()}\n" for line in lines)
        + "# From outside: TLS and scram, never a superuser; whatever is not named is refused.\n"
        + "".join(f"{line.text()}\n" for line in outside)
        + hba_block(settings)
    )


def _quoted(name: str) -> str:
    """A keyword, or a name that is more than letters, is quoted."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and name.lower() == name
    keyword = name in ("all", "sameuser", "samerole", "samegroup", "replication")
    return name if plain and not keyword else f'"{name}"'


def _kept(line: Line) -> Line | None:
    """A line of this machine's own, with scram for a weaker password; None: not to be kept."""
    if line.kind != "local" and not (line.kind.startswith("host") and line.loopback):
        return None
    if line.method in _WEAK:
        return Line(line.kind, line.database, line.user, line.address, "scram-sha-256")
    return line if line.method in _LOCAL_METHODS else None


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


def _locked_out(settings: Settings, text: str, visitors: tuple[Visitor, ...]) -> tuple[str, ...]:
    """Clients of this moment that could not come again."""
    admitted = [line for line in records(text) if line.method != "reject"]
    lost = [v for v in visitors if not any(_admits(line, v) for line in admitted)]
    return tuple(
        f"the role {v.role} is connected to {v.database} from {v.address} "
        f"{'over TLS' if v.tls else 'without TLS'} and could not come again: declare it in "
        "hardening.database_access, let it use TLS, or end it"
        for v in lost
        if not (v.role == settings.postgres.operator_role and not v.tls)
    )


def _admits(line: Line, visitor: Visitor) -> bool:
    if line.kind == "local" or (line.kind == "hostssl" and not visitor.tls):
        return False
    if line.user.strip('"') not in ("all", visitor.role):
        return False
    if line.database.strip('"') not in ("all", visitor.database):
        return False
    address = ipaddress.ip_address(visitor.address)
    if line.address in ("samehost", "localhost"):
        return address.is_loopback
    network = ipaddress.ip_network(line.address, strict=False)
    return address.version == network.version and address in network


def _without_password(settings: Settings, logins: tuple[Login, ...]) -> tuple[str, ...]:
    """A declared role whose password is kept as md5 could not log in any more."""
    declared = {access.role for access in settings.hardening.database_access}
    declared.add(settings.postgres.operator_role)
    weak = [login.name for login in logins if login.password == "md5" and login.name in declared]
    return tuple(
        f"the password of {name} is kept as md5, and scram cannot use it: set it anew "
        f"(\\password {name}, with password_encryption = scram-sha-256)"
        for name in weak
    )


POSTGRES_HBA = Stage("postgres-hba", facts, plan)
