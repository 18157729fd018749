"""Every page read (D5): also those that neither a SELECT nor amcheck looks at.

amcheck knows tables and B-tree indexes. Pages of GIN, GiST, BRIN, hash and SP-GiST indexes are read
when a query wants them: perhaps a year later, when no good backup is left.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.integrity import conninfo, not_applicable
from chronos_ops.drill.sql import script
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Finding, judge

_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1"


@dataclass(frozen=True)
class PagesRead:
    """Relations of one kind in one database (`table`, `TOAST`, `gin`, ...), read whole."""

    database: str
    kind: str
    relations: int
    pages: int
    damage: tuple[str, ...] = ()


def check_pages(ssh: Ssh) -> Finding:
    """Read every page of every database, templates that can be connected to included."""
    names = [str(row["datname"]) for row in ssh.sql_rows(_DATABASES)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        return judge_pages(
            [p for read in pool.map(lambda n: read_pages(ssh, n), names) for p in read]
        )


def read_pages(ssh: Ssh, database: str) -> list[PagesRead]:
    """Read one database's pages. Raises CommandFailed, UnreadableAnswer."""
    answer = ssh.sql(script("read_pages"), conninfo(database), timeout=6 * 3600)
    try:
        found = [json.loads(line) for line in answer.stdout.splitlines()]
        return [
            PagesRead(database, f["kind"], f["relations"], f["pages"], tuple(f["damage"]))
            for f in found
        ]
    except (ValueError, KeyError, TypeError):
        raise UnreadableAnswer(f"pages of {database!r}", answer.stdout[:200]) from None


def judge_pages(read: list[PagesRead]) -> Finding:
    """Nothing damaged, and there was something to look at."""
    damage = [f"{p.database}: {text}" for p in read for text in p.damage]
    kinds: dict[str, int] = {}
    for part in read:
        kinds[part.kind] = kinds.get(part.kind, 0) + part.relations
    pages = sum(p.pages for p in read)
    shown = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    return judge(
        "drill.integrity.pages-read",
        "every page of every table, index (of any kind), TOAST table and sequence can be read",
        passed=False if damage else (pages > 0 and "btree" in kinds) or None,
        observed="; ".join(damage[:5]) or f"{pages} pages: {shown}",
        expected="no page that PostgreSQL refuses to read",
        hint="an index: REINDEX; a table: take the backup before; find out why first",
        requirement="D5",
    )


def check_page_checksums(ssh: Ssh) -> Finding:
    """After every page was read: no page checksum failed; not applicable where they are off."""
    rows = ssh.sql_rows(
        "SELECT current_setting('data_checksums') AS enabled,"
        " sum(checksum_failures)::bigint AS failures FROM pg_stat_database"
    )
    title = "no page checksum failed while every page was read"
    if rows[0]["enabled"] != "on":
        return not_applicable("drill.integrity.page-checksums", title, "data_checksums is off")
    failures = rows[0]["failures"]
    return judge(
        "drill.integrity.page-checksums",
        title,
        passed=None if failures is None else failures == 0,
        observed=f"{failures} failures",
        expected="0 failures",
        hint="an index: REINDEX; a table: restore the backup set before, from sound storage",
        requirement="D5",
    )
