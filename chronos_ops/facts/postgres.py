"""PostgreSQL: clusters, settings and where they stand, identity, roles."""

from dataclasses import dataclass
from typing import Any

from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, Rows, ShellAnswer, ShellQuestion, SqlQuestion
from chronos_ops.model.wal import Lsn


@dataclass(frozen=True)
class Cluster:
    """A line of pg_lsclusters(1)."""

    version: str  # "17"
    name: str
    port: int
    status: str  # online, down, "online,recovery"
    owner: str
    data_directory: str

    @property
    def unit(self) -> str:
        return f"postgresql@{self.version}-{self.name}.service"

    @property
    def config_directory(self) -> str:
        return f"/etc/postgresql/{self.version}/{self.name}"


def _read_clusters(answer: ShellAnswer) -> list[Cluster]:
    found: list[Cluster] = []
    for line in lines(answer):
        words = line.split()
        if len(words) < 6 or not words[2].isdigit():
            raise UnreadableAnswer("not a line of pg_lsclusters", line)
        found.append(Cluster(words[0], words[1], int(words[2]), words[3], words[4], words[5]))
    return found


# Empty where PostgreSQL was never installed.
CLUSTERS: Fact[list[Cluster]] = Fact(
    "postgres_clusters",
    # as root: the configuration is not everybody's to read on a hardened host
    ShellQuestion(
        ("sh", "-c", "! command -v pg_lsclusters >/dev/null || pg_lsclusters -h"), sudo=True
    ),
    _read_clusters,
)


@dataclass(frozen=True)
class Setting:
    """A row of pg_settings: the value in effect, and the file that gave it."""

    name: str
    value: str
    unit: str
    context: str  # postmaster: only a restart changes it
    source: str
    source_file: str  # "" where it comes from no file
    pending_restart: bool
    written: str | None  # the value that the files give now (last line wins)
    written_in: str  # the file of that line; postgresql.auto.conf beats all others


_SETTINGS = """
SELECT s.name, s.setting, coalesce(s.unit, '') AS unit, s.context, s.source,
       coalesce(s.sourcefile, '') AS sourcefile, s.pending_restart,
       f.setting AS written, coalesce(f.sourcefile, '') AS written_in
FROM pg_settings s
LEFT JOIN LATERAL (
    SELECT setting, sourcefile FROM pg_file_settings
    WHERE lower(name) = lower(s.name) ORDER BY seqno DESC LIMIT 1) f ON true
WHERE s.name IN ({names})
ORDER BY s.name
"""


def _read_settings(rows: Rows) -> dict[str, Setting]:
    return {
        row["name"]: Setting(
            name=row["name"],
            value=str(row["setting"]),
            unit=row["unit"],
            context=row["context"],
            source=row["source"],
            source_file=row["sourcefile"],
            pending_restart=bool(row["pending_restart"]),
            written=row["written"],
            written_in=row["written_in"],
        )
        for row in rows
    }


def settings(*names: str) -> Fact[dict[str, Setting]]:
    """The named settings as they are in effect and as they are written."""
    listed = ", ".join(f"'{name}'" for name in names)
    question = SqlQuestion(_SETTINGS.format(names=listed))
    return Fact("postgres_settings", question, _read_settings)


@dataclass(frozen=True)
class Identity:
    """Which cluster this is, and where its WAL stands. LSN of the last byte written."""

    system_identifier: str
    server_version: int  # 170011
    in_recovery: bool
    timeline: int
    lsn: Lsn
    segment_bytes: int
    data_checksums: bool
    data_directory: str
    now: str  # the server's own clock, UTC


_IDENTITY = """
SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       current_setting('server_version_num')::int AS server_version,
       pg_is_in_recovery() AS in_recovery,
       (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline,
       CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_lsn() END::text AS lsn,
       (SELECT bytes_per_wal_segment FROM pg_control_init()) AS segment_bytes,
       current_setting('data_checksums') = 'on' AS data_checksums,
       current_setting('data_directory') AS data_directory,
       to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now
"""


def _one(rows: Rows, noun: str) -> dict[str, Any]:
    if len(rows) != 1:
        raise UnreadableAnswer(f"{noun}: one row expected", len(rows))
    return rows[0]


def _read_identity(rows: Rows) -> Identity:
    row = _one(rows, "the cluster's identity")
    return Identity(
        system_identifier=str(row["system_identifier"]),
        server_version=int(row["server_version"]),
        in_recovery=bool(row["in_recovery"]),
        timeline=int(row["timeline"]),
        lsn=Lsn.parse(row["lsn"] or "0/0"),
        segment_bytes=int(row["segment_bytes"]),
        data_checksums=bool(row["data_checksums"]),
        data_directory=row["data_directory"],
        now=row["now"],
    )


IDENTITY: Fact[Identity] = Fact("postgres_identity", SqlQuestion(_IDENTITY), _read_identity)


@dataclass(frozen=True)
class Role:
    """A role that may log in."""

    name: str
    superuser: bool
    scram: bool  # its password is kept as SCRAM-SHA-256
    member_of: tuple[str, ...]


_ROLES = """
SELECT a.rolname AS name, a.rolsuper AS superuser,
       coalesce(a.rolpassword LIKE 'SCRAM-SHA-256$%', false) AS scram,
       (SELECT coalesce(json_agg(g.rolname ORDER BY g.rolname), '[]') FROM pg_auth_members m
        JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = a.oid) AS member_of
FROM pg_authid a WHERE a.rolcanlogin ORDER BY a.rolname
"""


def _read_roles(rows: Rows) -> dict[str, Role]:
    return {
        row["name"]: Role(row["name"], row["superuser"], row["scram"], tuple(row["member_of"]))
        for row in rows
    }


ROLES: Fact[dict[str, Role]] = Fact("postgres_roles", SqlQuestion(_ROLES), _read_roles)
