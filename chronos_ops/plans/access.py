"""The way to the database for the operators' networks: TLS, scram, a role of their own."""

from typing import Any

from chronos_ops.facts import postgres
from chronos_ops.facts.backups import info
from chronos_ops.facts.lightsail_ports import has_ipv6, open_ports
from chronos_ops.facts.postgres_files import CONFIG_FILES, ConfigFiles
from chronos_ops.facts.secret_store import secrets
from chronos_ops.model.plan import (
    Change,
    Deed,
    Effect,
    Plan,
    PutSecret,
    RemoveSecret,
    RunCommand,
    RunSql,
    WriteFile,
)
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.drop_in import Wanted, drop_in_change, overriding, restart_refusals
from chronos_ops.plans.lightsail_ports import database_door

FILE_NAME = "80-chronos-access.conf"
BEGIN = "# BEGIN chronos-ops: operators' access (managed, do not edit)"
END = "# END chronos-ops: operators' access"
_READ_ALL_SINCE = 140000


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What must be known of the server's doors."""
    return {
        "clusters": postgres.CLUSTERS,
        "identity": postgres.IDENTITY,
        "settings": postgres.settings("listen_addresses", "ssl", "password_encryption"),
        "files": CONFIG_FILES,
        "roles": postgres.ROLES,
        "info": info(settings.backup.stanza),
        "ports": open_ports(settings.host.instance),
        "ipv6": has_ipv6(settings.host.instance),
        "secrets": secrets(settings.postgres.operator_password_secret),
    }


def wanted_settings(settings: Settings) -> tuple[Wanted, ...]:
    """Listen on all (a single address can lose the race at boot); pg_hba.conf filters."""
    if settings.postgres.connect == "ssh_tunnel":
        return (Wanted("password_encryption", "scram-sha-256"),)
    return (
        Wanted("listen_addresses", "*", accepts=("0.0.0.0,::", "::,0.0.0.0")),
        Wanted("ssl", "on"),
        Wanted("password_encryption", "scram-sha-256"),
    )


def plan(settings: Settings, values: dict[str, Any], *, run_id: str = "") -> Plan:
    """Listen, TLS, our block in pg_hba.conf, the operators' role with a generated password, and
    their way through Lightsail's firewall."""
    name = "database-access"
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=name, refusals=(missing_cluster(settings, values["clusters"]),))
    files: ConfigFiles = values["files"]
    wanted = wanted_settings(settings)
    refusals = overriding(
        wanted, values["settings"], files, f"{files.drop_in_directory}/{FILE_NAME}"
    )
    listen = drop_in_change(
        identifier="postgres.access",
        title="make PostgreSQL listen for the operators, with TLS",
        why="the drill writes and probes from outside, as an application does",
        file_name=FILE_NAME,
        purpose="the way in for the operators' networks",
        wanted=wanted,
        settings=values["settings"],
        files=files,
        cluster=cluster,
    )
    refusals += restart_refusals(listen, values["info"])
    door = database_door(settings, values["ports"], ipv6=values["ipv6"])
    changes = [listen, _hba(settings, files), _role(settings, values, run_id), door]
    done = tuple(change for change in changes if change is not None)
    return Plan(
        name=name,
        changes=done,
        noop_reason="" if done else "the operators' networks and role have their way in",
        refusals=tuple(refusals),
    )


def hba_block(settings: Settings) -> str:
    """Our lines: the operators' role, TLS and scram only, the superuser never from outside."""
    lines = [BEGIN]
    if settings.postgres.connect == "tcp":
        for network in settings.postgres.operator_networks:
            lines.append(f"host    all  postgres  {network}  reject")
            role = settings.postgres.operator_role
            lines.append(f"hostssl all  {role}  {network}  scram-sha-256")
    else:
        lines.append(f"host    all  {settings.postgres.operator_role}  127.0.0.1/32  scram-sha-256")
    return "\n".join([*lines, END]) + "\n"


def block_of(text: str) -> str:
    """Our block in a pg_hba.conf; empty: it has none."""
    start, end = text.find(BEGIN), text.find(END)
    return text[start : end + len(END)] + "\n" if 0 <= start < end else ""


def with_block(text: str, block: str) -> str:
    """`text` with our block in place of the former one, or at its end."""
    start, end = text.find(BEGIN), text.find(END)
    if start >= 0 and end > start:
        return text[:start] + block + text[end + len(END) :].removeprefix("\n")
    return text + ("" if text.endswith("\n") else "\n") + block


def _hba(settings: Settings, files: ConfigFiles) -> Change | None:
    text = with_block(files.hba_text, hba_block(settings))
    if text == files.hba_text:
        return None
    reload: tuple[Deed, ...] = (RunSql(sql="SELECT pg_reload_conf();"),)
    return Change(
        id="postgres.hba",
        title="admit the operators' networks in pg_hba.conf (a block of ours)",
        why="TLS and scram only; hardening takes the block over",
        deeds=(
            WriteFile(
                path=files.hba_file, content=text, owner="postgres", group="postgres", mode="0640"
            ),
            *reload,
        ),
        undo=(_former_hba(files), *reload),
        before=files.hba_text,
        after=text,
        effect=Effect.RELOAD,
    )


def _former_hba(files: ConfigFiles) -> Deed:
    if block_of(files.hba_text):  # ours of a former run: it comes back as it was
        return WriteFile(
            path=files.hba_file,
            content=files.hba_text,
            owner="postgres",
            group="postgres",
            mode="0640",
        )
    return RunCommand(argv=("sed", "-i", f"/^{BEGIN[:30]}/,/^{END[:30]}/d", files.hba_file))


def _role(settings: Settings, values: dict[str, Any], run_id: str) -> Change | None:
    name = settings.postgres.operator_role
    secret = settings.postgres.operator_password_secret
    role = values["roles"].get(name)
    kept = values["secrets"][secret] is not None
    if role is not None and role.scram and kept:
        return None
    grants = "pg_monitor"
    if values["identity"].server_version >= _READ_ALL_SINCE:
        grants += ", pg_read_all_data"
    verb = "CREATE" if role is None else "ALTER"
    script = (
        "SET log_statement = 'none'; SET log_min_duration_statement = -1;\n"
        "SET log_min_error_statement = 'panic'; SET pg_stat_statements.track_utility = off;\n"
        "SET password_encryption = 'scram-sha-256';\n"
        f"{verb} ROLE {name} LOGIN NOSUPERUSER PASSWORD '@{{secret:{secret}}}';\n"
        f"GRANT {grants} TO {name};\n"
    )
    return Change(
        id="postgres.operator-role",
        title=f"{verb.lower()} the role {name}; its password goes to the secret store",
        why="operators and drills connect with least rights, never as the superuser",
        deeds=(PutSecret(name=secret), RunSql(sql=script)),
        undo=(RunSql(sql=f"ALTER ROLE {name} NOLOGIN;"),)
        if not run_id
        else (RemoveSecret(name=secret, run_id=run_id),),
        before="" if role is None else f"role {name}, no usable password",
        after=f"role {name}: login over TLS, {grants}; password {secret}",
        creates=f"secret:{secret}",
    )


DATABASE_ACCESS = Stage("database-access", facts, plan)
