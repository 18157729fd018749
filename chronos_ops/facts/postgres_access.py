"""Who may come to PostgreSQL: logins and their passwords' kind, the rules, who is there now."""

from dataclasses import dataclass

from chronos_ops.facts.reading import lines
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, Rows, ShellAnswer, ShellQuestion, SqlQuestion


@dataclass(frozen=True)
class Login:
    """A role that may log in. `password`: scram, md5, or none; `groups`: of whom it is a member."""

    name: str
    superuser: bool
    password: str
    groups: tuple[str, ...] = ()


_LOGINS = """
WITH RECURSIVE belongs(member, role) AS (
    SELECT member, roleid FROM pg_auth_members
    UNION SELECT b.member, m.roleid FROM belongs b JOIN pg_auth_members m ON m.member = b.role)
SELECT rolname AS name, rolsuper AS superuser,
       CASE WHEN rolpassword IS NULL THEN 'none'
            WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram'
            WHEN rolpassword LIKE 'md5%' THEN 'md5' ELSE 'unknown' END AS password,
       coalesce((SELECT json_agg(g.rolname ORDER BY g.rolname)
                 FROM belongs b JOIN pg_roles g ON g.oid = b.role
                 WHERE b.member = a.oid), '[]') AS groups
FROM pg_authid a WHERE rolcanlogin ORDER BY rolname
"""


def _read_logins(rows: Rows) -> tuple[Login, ...]:
    return tuple(
        Login(row["name"], bool(row["superuser"]), row["password"], tuple(row["groups"]))
        for row in rows
    )


LOGINS: Fact[tuple[Login, ...]] = Fact("postgres_logins", SqlQuestion(_LOGINS), _read_logins)


@dataclass(frozen=True)
class Rule:
    """A row of pg_hba_file_rules: the file as the server would read it now."""

    line: int
    kind: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    netmask: str
    method: str
    error: str


_RULES = """
SELECT line_number AS line, coalesce(type, '') AS kind,
       coalesce(to_json(database), '[]') AS databases, coalesce(to_json(user_name), '[]') AS users,
       coalesce(address, '') AS address, coalesce(netmask, '') AS netmask,
       coalesce(auth_method, '') AS method, coalesce(error, '') AS error
FROM pg_hba_file_rules ORDER BY line_number
"""


def _read_rules(rows: Rows) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            line=int(row["line"]),
            kind=row["kind"],
            databases=tuple(row["databases"]),
            users=tuple(row["users"]),
            address=row["address"],
            netmask=row["netmask"],
            method=row["method"],
            error=row["error"],
        )
        for row in rows
    )


RULES: Fact[tuple[Rule, ...]] = Fact("postgres_rules", SqlQuestion(_RULES), _read_rules)


@dataclass(frozen=True)
class Visitor:
    """A client that is connected now. `address`: "" over the unix socket."""

    role: str
    database: str
    address: str
    tls: bool
    replication: bool = False


# Those who ask now are left out; background workers are no clients.
_VISITORS = """
SELECT DISTINCT a.usename AS role, coalesce(a.datname, 'replication') AS database,
       coalesce(host(a.client_addr), '') AS address, coalesce(s.ssl, false) AS tls,
       a.datname IS NULL AS replication
FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid)
WHERE a.backend_type IN ('client backend', 'walsender') AND a.usename IS NOT NULL
  AND a.pid <> pg_backend_pid() ORDER BY 1, 2, 3
"""


def _read_visitors(rows: Rows) -> tuple[Visitor, ...]:
    return tuple(
        Visitor(
            role=row["role"],
            database=row["database"],
            address=row["address"],
            tls=bool(row["tls"]),
            replication=bool(row["replication"]),
        )
        for row in rows
    )


VISITORS: Fact[tuple[Visitor, ...]] = Fact(
    "postgres_visitors", SqlQuestion(_VISITORS), _read_visitors
)


def _read_listeners(answer: ShellAnswer) -> tuple[str, ...]:
    found = []
    for line in lines(answer):
        words = line.split()
        if words[0] != "LISTEN" or len(words) < 5:
            raise UnreadableAnswer("not a line of ss", line)
        found.append(words[3].rpartition(":")[0])
    return tuple(sorted(found))


def listens(port: int) -> Fact[tuple[str, ...]]:
    """The host's addresses on which a TCP port is listened to; empty: nobody listens."""
    question = ShellQuestion(("ss", "-Hltn", f"sport = :{port}"))
    return Fact("listening_addresses", question, _read_listeners)
