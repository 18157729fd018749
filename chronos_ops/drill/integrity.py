"""Is what came back right (D5)? Judged on the host itself, database by database.

Questions go through psql on the host as superuser: the restored database is asked, not the
client's idea of it. A check that could not run is error or unknown, never passed.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from chronos_ops.connectors.ssh import SESSION_OPTIONS, Ssh
from chronos_ops.drill.sql import script
from chronos_ops.model.errors import ChronosError, CommandFailed, UnreadableAnswer
from chronos_ops.model.finding import Finding, Status, judge

_EXTENSIONS = """
SELECT extname, extversion, EXISTS (
    SELECT FROM pg_available_extension_versions a
    WHERE a.name = extname AND a.version = extversion) AS here
FROM pg_extension
"""
_LIBRARIES = """
SELECT name FROM (
    SELECT DISTINCT replace(probin, '$libdir',
        (SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR')) AS name
    FROM pg_proc WHERE probin IS NOT NULL) l
WHERE name LIKE '/%' AND pg_stat_file(name, true) IS NULL
    AND pg_stat_file(name || '.so', true) IS NULL
"""


@dataclass(frozen=True)
class TableDigest:
    """One table, read whole."""

    rows: int
    digest: str
    unlogged: bool = False


@dataclass(frozen=True)
class DatabaseDigest:
    """What one database holds. Comparable only where nobody wrote in between."""

    name: str
    tables: dict[str, TableDigest] = field(default_factory=dict)
    large_objects: int = 0
    large_objects_digest: str = "0"
    sequences_behind: tuple[str, ...] = ()
    sequences: int = 0
    counters: dict[str, int] = field(default_factory=dict)  # sequence to its next value

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


def databases(ssh: Ssh) -> list[str]:
    """Databases that can be connected to, templates aside."""
    rows = ssh.sql_rows(
        "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
    )
    return [str(row["datname"]) for row in rows]


def read_database(ssh: Ssh, name: str) -> DatabaseDigest:
    """Read every row, large object and sequence of one database. Raises CommandFailed where
    PostgreSQL cannot read (a page checksum, a missing file)."""
    answer = ssh.sql(script("read_database"), conninfo(name), timeout=6 * 3600)
    return parse_database(name, answer.stdout)


def parse_database(name: str, text: str) -> DatabaseDigest:
    """A digest from psql's lines of JSON. Raises UnreadableAnswer."""
    tables: dict[str, TableDigest] = {}
    objects: tuple[int, str] | None = None
    behind: list[str] = []
    counters: dict[str, int] = {}
    sequences = 0
    for line in text.splitlines():
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:
            raise UnreadableAnswer(f"database {name!r}: not a JSON line", line[:120]) from None
        if "table" in found:
            tables[found["table"]] = TableDigest(found["rows"], found["digest"], found["unlogged"])
        elif "objects" in found:
            objects = (found["objects"], found["digest"])
        elif "counter" in found:
            counters[found["counter"]] = found["next"]
        elif "sequence" in found:
            sequences += 1
            if found["max"] is not None and found["next"] <= found["max"]:
                behind.append(f"{found['sequence']} at {found['next']}, {found['max']} is used")
    if objects is None:
        raise UnreadableAnswer(f"database {name!r}: the answer is cut off", text[-120:])
    return DatabaseDigest(name, tables, *objects, tuple(behind), sequences, counters)


def conninfo(name: str) -> str:
    """A database name for `psql -d`, which takes a name with `=` for a connection string."""
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def read_all(ssh: Ssh) -> dict[str, DatabaseDigest]:
    """Every database, read whole, two at a time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return {d.name: d for d in pool.map(lambda n: read_database(ssh, n), databases(ssh))}


# -- judging


def judge_rows_read(found: dict[str, DatabaseDigest]) -> Finding:
    """Every row could be read (a row that cannot be read raises before this)."""
    tables = sum(len(d.tables) for d in found.values())
    rows = sum(d.rows for d in found.values())
    return judge(
        "drill.integrity.rows-read",
        "every row of every table can be read",
        passed=tables > 0,
        observed=f"{rows} rows, {tables} tables, {len(found)} databases",
        expected="no error, at least one table",
        hint="nothing to read is no proof: is it the right repository, the right moment?",
        requirement="D5",
    )


def judge_sequences(
    found: dict[str, DatabaseDigest], before: dict[str, DatabaseDigest] | None = None
) -> Finding:
    """No sequence is behind the column that it feeds, none behind what it had given out before.

    After a crash one may be ahead, by what was logged in advance; never behind.
    """
    behind = [text for d in found.values() for text in d.sequences_behind]
    count = sum(d.sequences for d in found.values())
    for name, old in (before or {}).items():
        now = found[name].counters if name in found else {}
        count += len(old.counters)
        behind += [
            f"{name}: {counter} at {now.get(counter, 'nothing')}, was at {value}"
            for counter, value in old.counters.items()
            if now.get(counter, value - 1) < value
        ]
    if not count:
        return not_applicable("drill.integrity.sequences", "sequences", "no column has one")
    return judge(
        "drill.integrity.sequences",
        "no sequence gives out again what it gave out already",
        passed=not behind,
        observed="; ".join(behind[:5]) or f"{count} sequences ahead",
        expected="none behind its column, none behind what it was before",
        hint="setval() the named sequence above the column's maximum, or the next INSERT collides",
        requirement="D5",
    )


def judge_unlogged(found: dict[str, DatabaseDigest]) -> Finding:
    """Unlogged tables are empty after a recovery (D1)."""
    unlogged = {
        f"{d.name}: {name}": table.rows
        for d in found.values()
        for name, table in d.tables.items()
        if table.unlogged
    }
    if not unlogged:
        return not_applicable("drill.integrity.unlogged", "unlogged tables are empty", "none here")
    full = [f"{name} has {rows} rows" for name, rows in unlogged.items() if rows]
    return judge(
        "drill.integrity.unlogged",
        "unlogged tables are empty",
        passed=not full,
        observed="; ".join(full) or f"{len(unlogged)} of {len(unlogged)} empty",
        expected="empty: they have no WAL",
        hint="TRUNCATE it: its rows come from no backup and are of no certain moment",
        requirement="D1",
    )


def judge_digests(
    before: dict[str, DatabaseDigest],
    after: dict[str, DatabaseDigest],
    *,
    moving: tuple[str, ...] = (),
) -> Finding:
    """Quiet data is the same as before; `moving` tables were written meanwhile and left out."""
    differences: list[str] = []
    compared = 0
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            differences.append(f"database {name} is missing")
            continue
        for table, digest in old.tables.items():
            if table in moving or digest.unlogged:
                continue
            compared += 1
            if new.tables.get(table) != digest:
                differences.append(f"{name}: {table}: {digest} became {new.tables.get(table)}")
        if (old.large_objects, old.large_objects_digest) != (
            new.large_objects,
            new.large_objects_digest,
        ):
            differences.append(f"{name}: large objects differ")
    return judge(
        "drill.integrity.digests",
        "quiet data is the same as before the fault",
        passed=bool(compared) and not differences,
        observed="; ".join(differences[:5]) or f"{compared} tables equal",
        expected="equal digests of every quiet table and of the large objects",
        hint="rows are lost or changed: restore another backup set or an earlier moment, and "
        "compare again before trusting it",
        requirement="D5",
    )


def check_amcheck(ssh: Ssh, bin_dir: str, jobs: int) -> Finding:
    """pg_amcheck over every database, heap against B-tree indexes; it must have looked."""
    answer = ssh.run(
        [
            "env",
            f"PGOPTIONS={SESSION_OPTIONS}",
            f"{bin_dir}/pg_amcheck",
            "--all",
            "--install-missing",
            "--heapallindexed",
            "--verbose",
            f"--jobs={jobs}",
            f"--port={ssh.address.pg_port}",
            "--no-password",
        ],
        user="postgres",
        accept=(0, 1, 2),
        timeout=6 * 3600,
    )
    return judge_amcheck(answer.exit_code, answer.stdout + answer.stderr)


def judge_amcheck(exit_code: int, text: str) -> Finding:
    """From pg_amcheck's exit code (0 none, 2 corruption, else broken) and its words."""
    heaps, indexes = text.count("checking heap table"), text.count("checking btree index")
    complaints = [
        line
        for line in text.splitlines()
        if line.strip()
        and not line.startswith("pg_amcheck: ")
        and not line.strip().startswith(("LOG:", "DEBUG:"))
    ]
    passed = None if exit_code not in (0, 2) or not (heaps and indexes) else exit_code == 0
    observed = f"exit code {exit_code}, {heaps} tables and {indexes} indexes looked at"
    if passed is not True:
        tail = complaints[:5] or text.splitlines()[-3:]
        observed += ": " + " / ".join(line.strip() for line in tail)
    return judge(
        "drill.integrity.amcheck",
        "amcheck finds tables and B-tree indexes sound, every row indexed",
        passed=passed,
        observed=observed,
        expected="exit code 0 after looking at tables and indexes",
        hint="REINDEX what is named; find out why before trusting the rest",
        requirement="D5",
    )


_HAS_VERSIONS = (
    "SELECT 1 AS there FROM pg_attribute"
    " WHERE attrelid = 'pg_database'::regclass AND attname = 'datcollversion'"
)


def check_collations(ssh: Ssh) -> Finding:
    """The same collation versions as where the data come from, else text indexes may be wrong."""
    if not ssh.sql_rows(_HAS_VERSIONS):
        return not_applicable(
            "drill.integrity.collations",
            "collation versions are the same on this host",
            "PostgreSQL records a database's collation version from 15 on",
        )
    rows = ssh.sql_rows(
        "SELECT datname, datcollversion AS recorded,"
        " pg_database_collation_actual_version(oid) AS here FROM pg_database"
        " WHERE datcollversion IS NOT NULL"
    )
    if not rows:
        return not_applicable(
            "drill.integrity.collations",
            "collation versions are the same on this host",
            "no database has a collation with a version",
        )
    wrong = [f"{r['datname']}: {r['recorded']} there, {r['here']} here"
             for r in rows if r["recorded"] != r["here"]]  # fmt: skip
    return judge(
        "drill.integrity.collations",
        "collation versions are the same on this host",
        passed=not wrong,
        observed="; ".join(wrong) or f"{len(rows)} databases agree",
        expected="no database with another version",
        hint="REINDEX first, then ALTER DATABASE … REFRESH COLLATION VERSION",
        requirement="D5",
    )


def check_extensions(ssh: Ssh) -> Finding:
    """Every extension that a database uses has its files on this host (failures 14)."""
    missing: list[str] = []
    count = 0
    for name in databases(ssh):
        for row in ssh.sql_rows(_EXTENSIONS, conninfo(name)):
            count += 1
            if not row["here"]:
                missing.append(f"{name}: {row['extname']} {row['extversion']}")
        missing += [f"{name}: {row['name']}" for row in ssh.sql_rows(_LIBRARIES, conninfo(name))]
    return judge(
        "drill.integrity.extensions",
        "every extension in use is installed on this host, in its version, with its library",
        passed=not missing,
        observed="; ".join(missing) or f"{count} in use, all there",
        expected="none missing",
        hint="add it to postgres.extensions, or name PGDG as package source",
        requirement="D5",
    )


def check_application(ssh: Ssh, database: str, sql: str, expected: object = None) -> Finding:
    """An application's query answers (and, where that is known, as it did before)."""
    title = "an application query answers"
    if not sql:
        return not_applicable("drill.integrity.application", title, "no query is declared")
    try:
        rows: object = ssh.sql_rows(sql, conninfo(database))
    except CommandFailed as error:
        rows, passed = error.output.strip()[-200:], False
    else:
        passed = bool(rows) and (expected is None or rows == expected)
    return judge(
        "drill.integrity.application",
        title,
        passed=passed,
        observed=str(rows)[:300],
        expected="at least one row" if expected is None else str(expected)[:300],
        hint="look at what the query reads: a table, rows or a right is missing in the copy",
        requirement="D5",
    )


def broken(identifier: str, title: str, error: ChronosError) -> Finding:
    """The finding of a check that could not run: an error, never passed."""
    return Finding(
        id=identifier,
        status=Status.ERROR,
        title=title,
        observed=str(error)[:400],
        expected="the check runs",
        hint=error.hint or "what cannot be read may be lost: restore another backup set",
        requirement="D5",
    )


def not_applicable(identifier: str, title: str, why: str) -> Finding:
    """The finding of a check that has no object here."""
    return Finding(
        id=identifier,
        status=Status.NOT_APPLICABLE,
        title=title,
        observed=why,
        expected="",
        requirement="D5",
    )
