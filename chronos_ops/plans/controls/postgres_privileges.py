"""Controls of PostgreSQL: roles, privileges, integrity, files."""

from chronos_ops.facts.audit_postgres import Database, DatabaseRole
from chronos_ops.facts.audit_system import FileMode
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.verdicts import (
    CIS_POSTGRES,
    Values,
    control,
    judged,
    none_of,
)

_BASELINE = "stage `postgres-baseline`"


PgSettings = dict[str, tuple[str, bool]]


_TRUSTED_OWNERS = ("postgres", "root")


def setting(values: Values, name: str) -> str:
    """A setting in effect; empty: this version has none of the name."""
    found: PgSettings = values["pg_settings"]
    return found[name][0] if name in found else ""


def _scram_roles(_: Settings, values: Values) -> Verdict:
    roles: dict[str, DatabaseRole] = values["pg_roles"]
    return none_of([r.name for r in roles.values() if r.password == "md5"], "no MD5 password")


def _superusers(_: Settings, values: Values) -> Verdict:
    roles: dict[str, DatabaseRole] = values["pg_roles"]
    wrong = [r.name for r in roles.values() if r.superuser and r.name != "postgres"]
    return none_of(wrong, "postgres alone is a superuser")


def _attributes(_: Settings, values: Values) -> Verdict:
    roles: dict[str, DatabaseRole] = values["pg_roles"]
    wrong = []
    for role in roles.values():
        if role.superuser:
            continue
        powers = {
            "CREATEROLE": role.create_role,
            "CREATEDB": role.create_db,
            "BYPASSRLS": role.bypass_rls,
        }
        if role.login and not role.replication and any(powers.values()):
            wrong.append(f"{role.name}: {', '.join(k for k, v in powers.items() if v)}")
        elif role.replication and (any(powers.values()) or role.member_of):
            wrong.append(f"{role.name}: REPLICATION and more")
    return none_of(wrong, "no administrative attribute beside the superuser's")


_DANGEROUS = (
    "pg_execute_server_program",
    "pg_write_server_files",
    "pg_read_server_files",
    "pg_write_all_data",
)


def _memberships(_: Settings, values: Values) -> Verdict:
    roles: dict[str, DatabaseRole] = values["pg_roles"]
    wrong = [
        f"{role.name}: {group}"
        for role in roles.values()
        for group in role.member_of
        if group in _DANGEROUS or (group in roles and roles[group].superuser)
    ]
    return none_of(wrong, "no role that runs programs, reads or writes files, or writes all data")


def _each_database(values: Values) -> list[Database]:
    found: dict[str, Database] = values["pg_databases"]
    return list(found.values())


def _public_schema(_: Settings, values: Values) -> Verdict:
    wrong = [d.name for d in _each_database(values) if d.public_create_in_public]
    return none_of(wrong, "PUBLIC has no CREATE on the schema public")


def _public_create(_: Settings, values: Values) -> Verdict:
    wrong = [d.name for d in _each_database(values) if d.public_create]
    return none_of(wrong, "PUBLIC has no CREATE on a database")


def _public_tables(_: Settings, values: Values) -> Verdict:
    wrong = [f"{d.name}: {t}" for d in _each_database(values) for t in d.public_writable]
    return none_of(wrong, "PUBLIC changes no table")


def _definers(_: Settings, values: Values) -> Verdict:
    wrong = [f"{d.name}: {f}" for d in _each_database(values) for f in d.definers]
    return none_of(wrong, "every SECURITY DEFINER function sets its search_path")


def _untrusted(_: Settings, values: Values) -> Verdict:
    wrong = [f"{d.name}: {name}" for d in _each_database(values) for name in d.untrusted]
    return none_of(wrong, "no untrusted procedural language")


def _owners(_: Settings, values: Values) -> Verdict:
    system = ("postgres", "template1")
    wrong = [
        f"{d.name}: {d.owner}"
        for d in _each_database(values)
        if d.name in system and d.owner != "postgres"
    ]
    return none_of(wrong, "the system's databases are the superuser's")


def _checksums(_: Settings, values: Values) -> Verdict:
    seen = setting(values, "data_checksums")
    return judged(seen == "on", f"data_checksums = {seen}", "on")


def _durable(_: Settings, values: Values) -> Verdict:
    seen = {n: setting(values, n) for n in ("fsync", "full_page_writes", "zero_damaged_pages")}
    good = seen == {"fsync": "on", "full_page_writes": "on", "zero_damaged_pages": "off"}
    return judged(good, ", ".join(f"{k} {v}" for k, v in seen.items()), "on, on, off")


def _pending(_: Settings, values: Values) -> Verdict:
    found: PgSettings = values["pg_settings"]
    return none_of(
        [n for n, (_, waits) in found.items() if waits], "no setting waits for a restart"
    )


def _data_directory(_: Settings, values: Values) -> Verdict:
    found: FileMode = values["pg_files"]["data_directory"]
    good = found.owner == "postgres" and not found.mode & 0o027
    return judged(good, f"{found.mode:o} {found.owner}", "postgres', 0700 or 0750")


def _config_files(_: Settings, values: Values) -> Verdict:
    found: dict[str, FileMode] = values["pg_config_modes"]
    wrong = [
        f"{m.path} {m.mode:o} {m.owner}"
        for m in found.values()
        if m.owner not in _TRUSTED_OWNERS or m.mode & 0o137
    ]
    if not found:
        return judged(False, "no configuration file", "postgres', 0640 or stricter")
    return none_of(wrong, "postgres', 0640 or stricter")


def _history(_: Settings, values: Values) -> Verdict:
    return none_of(values["pg_history"], "psql keeps no history of statements")


CONTROLS: tuple[Control, ...] = (
    control(
        "postgres.no-md5",
        "No password is kept as MD5",
        "PostgreSQL manual, Password Authentication",
        "pg_roles",
        _scram_roles,
        "set the password anew, with password_encryption = scram-sha-256",
    ),
    control(
        "postgres.superusers",
        "postgres alone is a superuser",
        f"{CIS_POSTGRES} 4.3",
        "pg_roles",
        _superusers,
        "ALTER ROLE name NOSUPERUSER",
    ),
    control(
        "postgres.role-attributes",
        "No role has attributes to administer",
        f"{CIS_POSTGRES} 4.3",
        "pg_roles",
        _attributes,
        "ALTER ROLE name NOCREATEROLE NOCREATEDB NOBYPASSRLS",
    ),
    control(
        "postgres.role-memberships",
        "No role reaches files, programs or all data",
        f"{CIS_POSTGRES} 4.9",
        "pg_roles",
        _memberships,
        "REVOKE group FROM name",
    ),
    control(
        "postgres.public-schema",
        "The schema public is protected",
        f"{CIS_POSTGRES} 4.10",
        "pg_databases",
        _public_schema,
        _BASELINE,
    ),
    control(
        "postgres.public-create",
        "Not everybody makes schemas",
        "PostgreSQL manual, Privileges",
        "pg_databases",
        _public_create,
        "REVOKE CREATE ON DATABASE name FROM PUBLIC",
    ),
    control(
        "postgres.public-tables",
        "Not everybody changes tables",
        f"{CIS_POSTGRES} 4.6",
        "pg_databases",
        _public_tables,
        "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON table FROM PUBLIC",
    ),
    control(
        "postgres.definer-functions",
        "Functions with their owner's rights are closed",
        f"{CIS_POSTGRES} 4.5; PostgreSQL manual, CREATE FUNCTION",
        "pg_databases",
        _definers,
        "ALTER FUNCTION name SET search_path = pg_catalog, pg_temp",
    ),
    control(
        "postgres.untrusted-languages",
        "No untrusted language",
        "PostgreSQL manual, CREATE LANGUAGE",
        "pg_databases",
        _untrusted,
        "DROP EXTENSION plpython3u (or the like)",
    ),
    control(
        "postgres.database-owners",
        "The system's databases are the superuser's",
        f"{CIS_POSTGRES} 4.3",
        "pg_databases",
        _owners,
        "ALTER DATABASE name OWNER TO postgres",
    ),
    control(
        "postgres.checksums",
        "Data pages carry checksums",
        "PostgreSQL manual, Data Checksums; pg_checksums",
        "pg_settings",
        _checksums,
        "stage `postgres-checksums` (needs a stop)",
    ),
    control(
        "postgres.durability",
        "What is committed stays",
        "PostgreSQL manual, Write Ahead Log and Developer Options",
        "pg_settings",
        _durable,
        "fsync = on, full_page_writes = on, zero_damaged_pages = off",
    ),
    control(
        "postgres.no-pending-restart",
        "What is configured is in effect",
        "PostgreSQL manual, pg_settings",
        "pg_settings",
        _pending,
        "restart in a quiet hour",
    ),
    control(
        "postgres.data-directory",
        "The data directory is postgres' alone",
        f"{CIS_POSTGRES} 2.1",
        "pg_files",
        _data_directory,
        "chmod 0700",
    ),
    control(
        "postgres.config-files",
        "The configuration is not for everybody",
        f"{CIS_POSTGRES} 2.1; lynis DBS-1828",
        "pg_config_modes",
        _config_files,
        _BASELINE,
    ),
    control(
        "postgres.history",
        "No history of statements lies about",
        f"{CIS_POSTGRES} 2.3",
        "pg_history",
        _history,
        "rm ~/.psql_history; ln -s /dev/null ~/.psql_history",
    ),
)
