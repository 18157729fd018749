"""Generated data to lose and to find again (D1): of any size, and as awkward as real data.

Two databases: `chronos_drill`, which the outside writer uses too, and one whose name wants
quoting everywhere. Everything but the writer's table is quiet once it is made, so that its
digests may be compared after a recovery.
"""

from chronos_ops.drill.sql import script

DATABASE = "chronos_drill"
AWKWARD_DATABASE = 'Chronos "Archiv" Ünïcode 2'
LOCALE = "de_DE.UTF-8"  # of the second database: no bare image has it
COMMITS = "chronos_drill.commits"  # the outside writer's table: the only one that moves
ORDERS = "shop.orders"  # what `table_dropped` drops
BY_REGION = "shop.by_region"  # a materialized view over it: dropped with it
EXTENSIONS = ("pg_trgm", "btree_gist")  # contrib: in PostgreSQL's own package

_WIDE_ROW_BYTES = 1100


def create_databases() -> str:
    """SQL for database `postgres`."""
    return f"""
CREATE DATABASE {DATABASE};
CREATE DATABASE {quoted(AWKWARD_DATABASE)} TEMPLATE template0 ENCODING 'UTF8' LOCALE '{LOCALE}';
"""


def fill_database(megabytes: int) -> str:
    """SQL for `chronos_drill`: several schemas, each type of index, TOAST, large objects."""
    rows = max(1000, megabytes * 1024 * 1024 // _WIDE_ROW_BYTES)
    return f"\\set rows {rows}\n" + script("sample")


def writers_tables(role: str) -> str:
    """SQL for `chronos_drill`: what the outside writer and the first write go to."""
    return f"""
CREATE SCHEMA chronos_drill;
CREATE TABLE chronos_drill.commits (
    seq bigint PRIMARY KEY, payload text NOT NULL, client_at timestamptz NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE chronos_drill.first_writes (at timestamptz NOT NULL DEFAULT clock_timestamp());
GRANT USAGE ON SCHEMA chronos_drill TO {quoted(role)};
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA chronos_drill TO {quoted(role)};
GRANT USAGE ON SCHEMA shop TO {quoted(role)};
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {quoted(role)};
"""


def fill_awkward_database() -> str:
    """SQL for the database with the awkward name."""
    return script("sample_awkward")


def application_query() -> str:
    """What an application would ask: a join over tables, indexes and an aggregate, as one row."""
    return """
SELECT count(*) AS orders, sum(o.amount) AS amount, count(DISTINCT c.region) AS regions
FROM shop.orders o JOIN shop.customers c ON c.id = o.customer_id
WHERE o.details @> '{"paid": true}' AND o.placed_at >= '2026-01-01T00:00:00Z'
"""


def quoted(identifier: str) -> str:
    """An SQL identifier in quotes."""
    return '"' + identifier.replace('"', '""') + '"'
