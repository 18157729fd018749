"""Readings of the audit: PostgreSQL and its TLS certificate (H7)."""

import json
from dataclasses import dataclass
from typing import Any

from chronos_ops.facts.audit import Reading, rows
from chronos_ops.facts.audit_system import FileMode
from chronos_ops.model.settings import Settings

SETTINGS = (
    "archive_command",
    "archive_mode",
    "authentication_timeout",
    "cluster_name",
    "config_file",
    "data_checksums",
    "data_directory",
    "data_directory_mode",
    "debug_print_parse",
    "debug_print_plan",
    "debug_print_rewritten",
    "fsync",
    "full_page_writes",
    "hba_file",
    "idle_in_transaction_session_timeout",
    "ident_file",
    "krb_caseins_users",
    "listen_addresses",
    "log_checkpoints",
    "log_connections",
    "log_destination",
    "log_disconnections",
    "log_error_verbosity",
    "log_file_mode",
    "log_hostname",
    "log_line_prefix",
    "log_lock_waits",
    "log_min_error_statement",
    "log_min_messages",
    "log_replication_commands",
    "log_statement",
    "log_temp_files",
    "log_timezone",
    "logging_collector",
    "max_connections",
    "password_encryption",
    "pgaudit.log",
    "port",
    "row_security",
    "server_version_num",
    "session_preload_libraries",
    "shared_preload_libraries",
    "ssl",
    "ssl_cert_file",
    "ssl_ciphers",
    "ssl_key_file",
    "ssl_min_protocol_version",
    "ssl_prefer_server_ciphers",
    "tcp_keepalives_idle",
    "unix_socket_permissions",
    "update_process_title",
    "zero_damaged_pages",
)


@dataclass(frozen=True)
class HbaRule:
    """A line of pg_hba.conf as the server has read it."""

    line: int
    type: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str  # CIDR, "all", "samenet" ...; "" for a local socket
    method: str
    options: tuple[str, ...]
    error: str

    @property
    def remote(self) -> bool:
        return self.type != "local" and not self.address.startswith(("127.", "::1", "localhost"))


@dataclass(frozen=True)
class DatabaseRole:
    """A role. `password`: scram, md5, none."""

    name: str
    login: bool
    superuser: bool
    create_role: bool
    create_db: bool
    replication: bool
    bypass_rls: bool
    password: str
    connection_limit: int
    member_of: tuple[str, ...]


@dataclass(frozen=True)
class Database:
    """What everybody may do in a database."""

    name: str
    owner: str
    public_create_in_public: bool  # CREATE on the schema public
    public_create: bool  # CREATE on the database
    public_writable: tuple[str, ...]  # tables that everybody may change
    definers: tuple[str, ...]  # SECURITY DEFINER functions without a search_path of their own
    untrusted: tuple[str, ...]  # untrusted languages beside C and internal
    extensions: tuple[str, ...]
    preloads_settings: tuple[str, ...]  # per-role and per-database settings


def _setting_rows(text: str) -> dict[str, tuple[str, bool]]:
    found = {r["name"]: (str(r["setting"]), bool(r["pending_restart"])) for r in json.loads(text)}
    if "server_version_num" not in found:
        raise ValueError("pg_settings without server_version_num")
    return found


def _hba(text: str) -> list[HbaRule]:
    return [
        HbaRule(
            r["line_number"],
            r["type"] or "",
            tuple(r["database"] or ()),
            tuple(r["user_name"] or ()),
            _network(r["address"] or "", r["netmask"] or ""),
            r["auth_method"] or "",
            tuple(r["options"] or ()),
            r["error"] or "",
        )
        for r in json.loads(text)
    ]


def _network(address: str, mask: str) -> str:
    """CIDR notation of what pg_hba_file_rules shows as address and netmask."""
    if not mask:
        return address
    if ":" in mask:
        bits = sum(int(part, 16).bit_count() for part in mask.split(":") if part)
    else:
        bits = sum(int(part).bit_count() for part in mask.split("."))
    return f"{address}/{bits}"


def _roles(text: str) -> dict[str, DatabaseRole]:
    found = {
        r["name"]: DatabaseRole(**{**r, "member_of": tuple(r["member_of"])})
        for r in json.loads(text)
    }
    if not found:
        raise ValueError("no roles")
    return found


def _databases(text: str) -> dict[str, Database]:
    found: dict[str, Database] = {}
    for line in text.splitlines():
        if line.strip():
            row: dict[str, Any] = json.loads(line)
            lists = {k: tuple(v or ()) for k, v in row.items() if isinstance(v, list) or v is None}
            found[row["name"]] = Database(**{**row, **lists})
    if not found:
        raise ValueError("no database answered")
    return found


def _file_modes(text: str) -> dict[str, FileMode]:
    return {
        what: FileMode(path, int(mode, 8), owner, group)
        for what, mode, owner, group, path in rows(text, 5, " ")
    }


def _paths(text: str) -> dict[str, FileMode]:
    return {
        path: FileMode(path, int(mode, 8), owner, group)
        for mode, owner, group, path in rows(text, 4, " ")
    }


def _key_values(text: str) -> dict[str, str]:
    return {
        k.strip(): v.strip() for k, s, v in (line.partition("=") for line in text.splitlines()) if s
    }


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


_HBA = (
    "SELECT line_number, type, database, user_name, address, netmask, auth_method, options, error "
    "FROM pg_hba_file_rules ORDER BY line_number"
)
_ROLES = """SELECT rolname AS name, rolcanlogin AS login, rolsuper AS superuser,
 rolcreaterole AS create_role, rolcreatedb AS create_db, rolreplication AS replication,
 rolbypassrls AS bypass_rls, rolconnlimit AS connection_limit,
 CASE WHEN rolpassword IS NULL THEN 'none' WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram'
 ELSE 'md5' END AS password,
 (SELECT coalesce(json_agg(g.rolname ORDER BY g.rolname), '[]') FROM pg_auth_members m
  JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = a.oid) AS member_of
 FROM pg_authid a WHERE rolname !~ '^pg_' ORDER BY rolname"""
_DATABASE = """SELECT current_database() AS name, pg_get_userbyid(d.datdba) AS owner,
 coalesce((SELECT bool_or(x.grantee = 0 AND x.privilege_type = 'CREATE') FROM pg_namespace n,
  aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x WHERE n.nspname = 'public'), false)
  AS public_create_in_public,
 (SELECT coalesce(bool_or(x.grantee = 0 AND x.privilege_type = 'CREATE'), false)
  FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x) AS public_create,
 (SELECT coalesce(json_agg(DISTINCT n.nspname || '.' || c.relname), '[]') FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x
  WHERE x.grantee = 0 AND x.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')) AS public_writable,
 (SELECT coalesce(json_agg(p.oid::regprocedure::text), '[]') FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prosecdef
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e')
  AND NOT EXISTS (SELECT 1 FROM unnest(p.proconfig) s WHERE s LIKE 'search_path=%')) AS definers,
 (SELECT coalesce(json_agg(lanname), '[]') FROM pg_language
  WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')) AS untrusted,
 (SELECT coalesce(json_agg(extname || ' ' || extversion ORDER BY extname), '[]')
  FROM pg_extension) AS extensions,
 (SELECT coalesce(json_agg(c), '[]') FROM pg_db_role_setting s, unnest(s.setconfig) c
  WHERE c ~ '_preload_libraries=') AS preloads_settings
 FROM pg_database d WHERE d.datname = current_database()"""


PSQL = "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -p {port}"
EACH_DATABASE = """cd /; set -e
{psql} -d postgres -c 'SELECT datname FROM pg_database WHERE datallowconn' |
while read -r db; do {psql} -d "$db" <<'END'
SELECT row_to_json(q) FROM ({query}) q;
END
done"""
# Paths as the server has them; a relative one is below the data directory.
_PATH = """SELECT {columns} CASE WHEN setting LIKE '/%' THEN setting
ELSE current_setting('data_directory') || '/' || setting END FROM pg_settings
WHERE setting <> '' AND name IN ({names})"""
_FILES = """cd /; {psql} -F ' ' -d postgres <<'END' |
{query}
END
while read -r n p; do stat -L -c "$n %a %U %G %n" "$p"; done"""
# The certificate that lies there, and the serial of the one that is really served.
_CERTIFICATE = """cd /
f=$({psql} -d postgres <<'END'
{query}
END
) || exit 1
openssl x509 -noout -serial -subject -issuer -in "$f" | sed 's/^/file_/'
openssl s_client -starttls postgres -connect 127.0.0.1:{port} </dev/null 2>/dev/null |
openssl x509 -noout -serial 2>/dev/null | sed 's/^/served_/'
openssl x509 -pubkey -noout -in "$f" | openssl pkey -pubin -text -noout | head -n 1 |
sed 's/^/key=/'
echo "end=$(date -ud "$(openssl x509 -noout -enddate -in "$f" | cut -d= -f2)" +%s)"
echo now=$(date +%s)"""
_CONFIG_MODES = """cd /
f=$({psql} -d postgres -c 'SHOW config_file') || exit 1
find "${{f%/*}}" -type f -name '*.conf' -printf '%m %u %g %p\\n'"""
_HISTORY = """for h in /root /home/* /var/lib/postgresql; do f=$h/.psql_history
[ -s "$f" ] && [ ! -L "$f" ] && echo "$f"; done; :"""


_LOCATED = (
    "data_directory",
    "config_file",
    "hba_file",
    "ident_file",
    "ssl_cert_file",
    "ssl_key_file",
)


def _paths_of(*names: str) -> str:
    return _PATH.format(columns="name,", names=", ".join(f"'{name}'" for name in names))


def readings(settings: Settings) -> tuple[Reading, ...]:
    """As root on the host; SQL as the cluster's superuser through its socket."""
    port = settings.postgres.port
    psql = PSQL.format(port=port)

    def sql(query: str) -> str:
        rows_of = f"SELECT coalesce(json_agg(q), '[]') FROM ({query}) q;"  # noqa: S608 - frozen
        return f"cd /; {psql} -d postgres <<'END'\n{rows_of}\nEND"

    names = ", ".join(f"'{name}'" for name in SETTINGS)
    listed = f"SELECT name, setting, pending_restart FROM pg_settings WHERE name IN ({names})"  # noqa: S608
    certificate = _CERTIFICATE.format(
        psql=psql, port=port, query=_PATH.format(columns="", names="'ssl_cert_file'")
    )
    each = EACH_DATABASE.format(psql=psql, query=_DATABASE)
    return (
        Reading("pg_settings", sql(listed), _setting_rows),
        Reading("pg_hba", sql(_HBA), _hba),
        Reading("pg_roles", sql(_ROLES), _roles),
        Reading("pg_databases", each, _databases),
        Reading("pg_files", _FILES.format(psql=psql, query=_paths_of(*_LOCATED)), _file_modes),
        Reading("pg_config_modes", _CONFIG_MODES.format(psql=psql), _paths),
        Reading("pg_certificate", certificate, _key_values),
        Reading("pg_unit", "systemctl is-enabled postgresql.service || :", str.strip),
        Reading("pg_history", _HISTORY, _lines),
        Reading(
            "pg_log_modes",
            "find /var/log/postgresql -type f -perm /0137 -printf '%m %u %g %p\\n'",
            _paths,
        ),
    )
