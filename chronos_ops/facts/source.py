"""What a restored copy wants of its host: written down with each backup, since the server itself is
gone when it matters. An annotation of the backup set, in its info: no data directory is needed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

# Any supported release: what a catalogue lacks reads as null. `$1`: the port. One line of JSON.
SCRIPT = r"""
export PGPORT=$1 PGCONNECT_TIMEOUT=5 PGOPTIONS='-c statement_timeout=10s -c lock_timeout=5s'
ask() { timeout 20 psql -XAtq -v ON_ERROR_STOP=1; }
cluster=$(PGDATABASE=postgres ask <<'SQL'
SELECT json_build_object(
    'settings', (SELECT json_object_agg(name, setting) FROM pg_settings WHERE name IN (
        'max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions',
        'max_locks_per_transaction', 'shared_buffers', 'block_size', 'wal_segment_size',
        'shared_preload_libraries', 'session_preload_libraries', 'local_preload_libraries',
        'huge_pages', 'server_version_num')),
    'databases', (SELECT json_agg(json_build_object(
            'name', datname,
            'provider', coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'),
            'locales', json_build_array(datcollate, datctype),
            'version', to_jsonb(d) ->> 'datcollversion') ORDER BY datname)
        FROM pg_database d WHERE datallowconn AND datname !~ E'[\n\r]'))
SQL
) || exit 1
each=$(PGDATABASE=postgres ask <<'SQL' |
SELECT datname FROM pg_database WHERE datallowconn AND datname !~ E'[\n\r]' ORDER BY datname
SQL
while IFS= read -r name; do
PGDATABASE=$name ask <<'SQL' || exit 1
SELECT ',' || json_build_object(
    'database', current_database(),
    'extensions', (SELECT coalesce(json_agg(extname ORDER BY extname), '[]') FROM pg_extension),
    'libraries', (SELECT coalesce(json_agg(DISTINCT probin), '[]') FROM pg_proc
                  WHERE probin IS NOT NULL AND oid >= 16384),
    'collations', (SELECT coalesce(json_agg(DISTINCT collprovider::text || ' ' || collversion),
                                   '[]') FROM pg_collation c
                   WHERE collversion IS NOT NULL AND EXISTS (
                       SELECT FROM pg_depend WHERE refobjid = c.oid AND deptype = 'n'
                           AND refclassid = 'pg_collation'::regclass)))
SQL
done) || exit 1
icu=$(ldd /usr/lib/postgresql/*/bin/postgres 2>/dev/null |
    sed -n 's/.*libicuuc[.]so[.]\([0-9]*\).*/\1/p' | sort -n | tail -n 1)
host="{\"glibc\": \"$(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)\", \"icu\": \"$icu\"}"
printf '[%s,%s%s]\n' "$host" "$cluster" "$each" | tr -d '\n'
"""


@dataclass(frozen=True)
class SourceDatabase:
    """One database: its locales, and what it loads and sorts with."""

    name: str
    provider: str  # c: libc, i: ICU, b: PostgreSQL's own
    locales: tuple[str, ...]
    version: str | None  # of its collation, as its indexes were built with
    extensions: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()  # of its functions, as `$libdir/name`
    collations: tuple[str, ...] = ()  # "c 2.41": those that something depends on


@dataclass(frozen=True)
class Source:
    """The server as the backup job found it."""

    glibc: str
    icu: str  # major version of the library; "": built without
    settings: Mapping[str, str]
    databases: tuple[SourceDatabase, ...]

    def number(self, setting: str) -> int:
        """A setting that is a number. Raises UnreadableAnswer."""
        try:
            return int(self.settings[setting])
        except (KeyError, ValueError):
            raise UnreadableAnswer(f"the source's {setting} is not known", self.settings) from None

    @property
    def preloaded(self) -> list[str]:
        """Files that are loaded into every process, or every session."""
        kinds = ("shared", "session", "local")
        text = ",".join(self.settings.get(f"{kind}_preload_libraries", "") for kind in kinds)
        return sorted({_file(name.strip(' "')) for name in text.split(",")} - {""})

    @property
    def extensions(self) -> list[str]:
        return sorted({name for database in self.databases for name in database.extensions})

    @property
    def libraries(self) -> list[str]:
        """Files that its functions come from, without folder and ending."""
        paths = {path for database in self.databases for path in database.libraries}
        return sorted({_file(path) for path in paths})


def _file(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".so")


def read_source(text: str) -> Source:
    """From an annotation, or from the host itself. Raises UnreadableAnswer."""
    try:
        host, cluster, *each = json.loads(text)
        by_name: dict[str, Any] = {item["database"]: item for item in each}
        databases = tuple(_database(item, by_name[item["name"]]) for item in cluster["databases"])
        settings = {name: str(value) for name, value in cluster["settings"].items()}
        return Source(host["glibc"], host["icu"], settings, databases)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not what a backup job writes of a server", repr(error)) from None


def _database(item: dict[str, Any], inside: dict[str, Any]) -> SourceDatabase:
    return SourceDatabase(
        item["name"],
        item["provider"],
        tuple(name for name in item["locales"] if name),
        item["version"],
        tuple(inside["extensions"]),
        tuple(inside["libraries"]),
        tuple(inside["collations"]),
    )


def _read(answer: ShellAnswer) -> str:
    read_source(answer.stdout)
    return answer.stdout.strip()


def source_text(port: int) -> Fact[str]:
    """The server as it is now, in the words of the annotation."""
    argv = ("sh", "-c", SCRIPT, "source", str(port))
    return Fact("source_text", ShellQuestion(argv, user="postgres"), _read)
