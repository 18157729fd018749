"""Who has which rights: grants in PostgreSQL, users of the account, Lightsail's firewall (H8)."""

import json
from dataclasses import dataclass
from typing import Any

from chronos_ops.facts.audit import Reading, Readings, batch
from chronos_ops.facts.audit_host import readings
from chronos_ops.facts.audit_postgres import EACH_DATABASE, PSQL
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import AwsQuestion, Fact
from chronos_ops.model.settings import Settings

# What the document is made of, of the audit's own readings.
_READ = (
    "passwd",
    "shadow",
    "groups",
    "ssh_access",
    "sudo",
    "sudoers",
    "ufw",
    "chains",
    "listening",
    "pg_hba",
    "pg_roles",
    "pg_databases",
)


@dataclass(frozen=True)
class Grant:
    """Privileges of a role on objects of one kind. `objects`: a name, or how many in a schema."""

    database: str
    kind: str  # database, schema, relation, routine
    objects: str
    grantee: str
    privileges: str


_GRANTS = """SELECT current_database() AS database, kind, objects,
 CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END AS grantee,
 string_agg(DISTINCT privilege, ', ' ORDER BY privilege) AS privileges FROM (
  SELECT 'database' AS kind, d.datname::text AS objects, x.grantee, x.privilege_type AS privilege
  FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x
  WHERE d.datname = current_database()
 UNION ALL
  SELECT 'schema', n.nspname::text, x.grantee, x.privilege_type FROM pg_namespace n,
  aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 UNION ALL
  SELECT 'relation', format('%s in %s', count(*) OVER w, n.nspname), x.grantee, x.privilege_type
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) x
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND x.grantee <> c.relowner
  WINDOW w AS (PARTITION BY n.nspname, x.grantee, x.privilege_type)
 UNION ALL
  SELECT 'routine', format('%s in %s', count(*) OVER w, n.nspname), x.grantee, x.privilege_type
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace, aclexplode(p.proacl) x
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND x.grantee <> p.proowner
  WINDOW w AS (PARTITION BY n.nspname, x.grantee, x.privilege_type)) g
 GROUP BY kind, objects, grantee ORDER BY kind, objects, grantee"""


def _grants(text: str) -> list[Grant]:
    return [Grant(**json.loads(line)) for line in text.splitlines() if line.strip()]


def access_rights(settings: Settings) -> Fact[Readings]:
    """The host's part of the access control document: one round trip."""
    needed = tuple(reading for reading in readings(settings) if reading.name in _READ)
    psql = PSQL.format(port=settings.postgres.port)
    grants = Reading("pg_grants", EACH_DATABASE.format(psql=psql, query=_GRANTS), _grants)
    return batch("access_rights", (*needed, grants))


@dataclass(frozen=True)
class OpenPorts:
    """A rule of Lightsail's firewall."""

    protocol: str
    ports: str
    sources: tuple[str, ...]


def lightsail_rules(instance: str) -> Fact[list[OpenPorts] | None]:
    """What Lightsail's own firewall lets through; None: there is no such instance."""
    question = AwsQuestion(
        "lightsail",
        "get_instance_port_states",
        {"instanceName": instance},
        absent=("NotFoundException",),
    )

    def read(answer: Any) -> list[OpenPorts] | None:
        if answer is None:
            return None
        try:
            return [
                OpenPorts(
                    item["protocol"],
                    f"{item.get('fromPort')}-{item.get('toPort')}",
                    (*item.get("cidrs", ()), *item.get("ipv6Cidrs", ())),
                )
                for item in answer["portStates"]
                if item.get("state", "open") == "open"
            ]
        except (KeyError, TypeError) as error:
            raise UnreadableAnswer("not Lightsail's port states", error) from None

    return Fact("lightsail_rules", question, read)


def iam_users() -> Fact[list[str]]:
    """Names of the account's IAM users."""
    question = AwsQuestion("iam", "list_users", paginate=True)

    def read(answer: Any) -> list[str]:
        try:
            return sorted(user["UserName"] for user in answer["Users"])
        except (KeyError, TypeError) as error:
            raise UnreadableAnswer("not a list of IAM users", error) from None

    return Fact("iam_users", question, read)
