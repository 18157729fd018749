"""Is everything there that is not a row (D5): tables, indexes, views, functions, rights, roles?

Rows and B-trees can be whole while a function, a trigger or a grant is gone, and the application
is down all the same. pg_dump and pg_dumpall say what a cluster consists of; what they said before
the fault is held against what they say of the copy, object by object.
"""

import difflib
import re
from concurrent.futures import ThreadPoolExecutor

from chronos_ops.connectors.ssh import SESSION_OPTIONS, Ssh
from chronos_ops.drill.integrity import conninfo, databases, not_applicable
from chronos_ops.model.finding import Finding, judge

Catalog = dict[str, str]  # object, as pg_dump names it, to its definition

_HEAD = re.compile(r"^--\n-- Name: (.*)\n--\n", re.MULTILINE)
# Not part of what an entry defines: psql's own lines (a random word since 17.6, how the session at
# hand is encoded), and defaults that pg_dump writes before whichever entry needs them first.
_NOISE = re.compile(
    r"^(--.*|\\((un)?restrict|encoding|connect) .*|SET default_table(space|_access_method) = .*|)$"
)
# Made by the proof itself (pg_amcheck --install-missing), while it runs.
_OURS = re.compile(r": (EXTENSION amcheck|COMMENT EXTENSION amcheck)$")
_ALL = """
SELECT n.nspname || '.' || c.relname AS name,
    i.indisvalid AND i.indisready AND i.indislive AS valid
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' AND c.relpersistence <> 't'
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid >= 16384
"""
INDEXES = "drill.integrity.indexes"


def read_catalog(ssh: Ssh, bin_dir: str) -> Catalog:
    """Every database's objects, and the roles (their passwords left out). Raises CommandFailed."""
    names = databases(ssh)
    dump = [f"{bin_dir}/pg_dump", "--schema-only", "--create"]
    asked = [[*dump, f"--dbname={conninfo(name)}"] for name in names]
    asked.append([f"{bin_dir}/pg_dumpall", "--roles-only", "--no-role-passwords"])

    def told(argv: list[str]) -> str:
        found = ssh.run(
            ["env", f"PGOPTIONS={SESSION_OPTIONS}", *argv, f"--port={ssh.address.pg_port}",
             "--no-password"],
            user="postgres",
            timeout=600,
        )  # fmt: skip
        return found.stdout

    with ThreadPoolExecutor(max_workers=2) as pool:
        *dumps, roles = pool.map(told, asked)
    catalog: Catalog = {}
    for name, text in zip(names, dumps, strict=True):
        catalog |= parse_dump(name, text)
    return catalog | parse_roles(roles)


def parse_dump(database: str, text: str) -> Catalog:
    """pg_dump's entries; entries of one name (overloaded comments) are one."""
    _before, *parts = _HEAD.split(text)
    bodies: dict[str, list[str]] = {}
    for head, body in zip(parts[::2], parts[1::2], strict=True):
        name, kind, schema = _words(head)
        spelled = f"{kind} {name}" if schema in ("-", "") else f"{kind} {schema}.{name}"
        bodies.setdefault(f"{database}: {spelled}", []).append(_solid(body))
    return {name: "\n".join(sorted(found)) for name, found in bodies.items()}


def parse_roles(text: str) -> Catalog:
    """pg_dumpall's lines: roles, their attributes, memberships and settings."""
    lines = [line for line in _solid(text).splitlines() if not line.startswith("SET ")]
    return {f"role: {line}": line for line in lines}


def judge_catalog(before: Catalog, after: Catalog) -> Finding:
    """Nothing is missing, nothing is defined otherwise, nothing has come from nowhere."""
    after = {name: text for name, text in after.items() if not _OURS.search(name)}
    before = {name: text for name, text in before.items() if not _OURS.search(name)}
    wrong = [f"{name} is missing" for name in before if name not in after]
    wrong += [
        f"{name} is another ({_first_difference(was, after[name])})"
        for name, was in before.items()
        if after.get(name, was) != was
    ]
    wrong += [f"{name} is new" for name in after if name not in before]
    return judge(
        "drill.integrity.catalog",
        "every object, right and role is there as it was before the fault",
        passed=bool(before) and not wrong,
        observed="; ".join(wrong[:5]) or f"{len(before)} objects equal",
        expected="pg_dump and pg_dumpall say the same as before the fault",
        hint="compare `pg_dump --schema-only` of the copy with your migrations, and restore "
        "another backup set or an earlier moment before trusting it",
        requirement="D5",
    )


def check_indexes(ssh: Ssh) -> Finding:
    """No index is invalid: PostgreSQL passes it over, and so does amcheck."""
    found = [(name, row) for name in databases(ssh) for row in ssh.sql_rows(_ALL, conninfo(name))]
    invalid = [f"{name}: {row['name']}" for name, row in found if not row["valid"]]
    title = "every index is valid"
    if not found:
        return not_applicable(INDEXES, title, "there is none")
    return judge(
        INDEXES,
        title,
        passed=not invalid,
        observed="; ".join(invalid[:5]) or f"{len(found)} valid",
        expected="none that PostgreSQL leaves aside",
        hint="was it being built at that moment? Then drill again. Else REINDEX INDEX CONCURRENTLY "
        "it at the source, or DROP it (`_ccnew`, `_ccold`): amcheck does not look at it",
        requirement="D5",
    )


def _words(head: str) -> tuple[str, str, str]:
    """Name, type and schema of an entry; a name may hold `; ` itself."""
    name, _, rest = head.rpartition("; Type: ")
    kind, _, rest = rest.partition("; Schema: ")
    return name, kind, rest.partition("; Owner: ")[0]


def _solid(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not _NOISE.match(line))


def _first_difference(was: str, now: str) -> str:
    lines = difflib.ndiff(was.splitlines(), now.splitlines())
    return " / ".join([line for line in lines if line[:2] in ("- ", "+ ")][:2])[:300]
