"""Could this host receive it? Each lack is named, with what mends it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chronos_ops.drill.backup_preflight import judge_packages
from chronos_ops.facts.owners import owners
from chronos_ops.facts.receiving_host import ReceivingHost, receiving_host
from chronos_ops.facts.source import Source, SourceDatabase, read_source, source_text
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.question import ShellAnswer
from chronos_ops.plans import judge_receiver as judges
from chronos_ops.plans.packages import extension_packages
from tests.recorded_cases import example_settings

RECORDED = json.loads((Path(__file__).parent / "recorded/restore_preflight.json").read_text())
HOST: ReceivingHost = receiving_host("17").parse(ShellAnswer(0, RECORDED["host"]))
SOURCE: Source = read_source(source_text(5432).parse(ShellAnswer(0, RECORDED["source"])))
DATABASE = SourceDatabase(
    "shop",
    "c",
    ("de_DE.UTF-8", "de_DE.UTF-8"),
    "2.41",
    extensions=("plpgsql", "vector"),
    libraries=("$libdir/vector",),
    collations=("i 153.128",),
)
_PRELOADED = {"shared_preload_libraries": 'pg_stat_statements, "$libdir/vector"'}
WANTS = replace(SOURCE, databases=(DATABASE,), settings={**SOURCE.settings, **_PRELOADED})


def settings(**changed: str) -> Source:
    return replace(WANTS, settings={**WANTS.settings, **changed})


def judged(host: ReceivingHost = HOST, source: Source = WANTS, **room: int) -> dict[str, Finding]:
    size, wal = room.get("size", 10**9), room.get("wal", 10**8)
    found = [
        judges.judge_disk(host, size, wal),
        judges.judge_major(host, "17"),
        judges.judge_memory(host, source),
        judges.judge_settings(host, source),
        judges.judge_extensions(host, source),
        judges.judge_libraries(host, source),
        judges.judge_preloaded(host, source),
        judges.judge_locales(host, source),
        judges.judge_collations(host, source),
    ]
    for finding in found:
        assert finding.good or finding.hint, finding
    return {finding.id.removeprefix("restore.host."): finding for finding in found}


def test_a_host_that_has_everything() -> None:
    found = judged()
    assert {finding.status for finding in found.values()} == {Status.PASS}
    assert "made when restored: de_DE.UTF-8" in found["locales"].observed


GIB = 2**30
LACKS = [
    (replace(HOST, disk_free=GIB), WANTS, "disk", "1.00 GiB free"),
    (replace(HOST, major=""), WANTS, "major", "not installed"),
    (HOST, settings(shared_buffers=str(2 * GIB // 8192)), "memory", "2.00 GiB of memory"),
    (HOST, settings(huge_pages="on"), "memory", "no huge pages"),
    (HOST, settings(max_connections="20000"), "settings", "2.00 GiB of memory"),
    (replace(HOST, processes=100), WANTS, "settings", "100 processes"),
    (
        HOST,
        replace(WANTS, databases=(replace(DATABASE, extensions=("postgis",)),)),
        "extensions",
        "missing: postgis",
    ),
    (
        HOST,
        replace(WANTS, databases=(replace(DATABASE, libraries=("$libdir/timescaledb-2.19.0",)),)),
        "libraries",
        "missing: timescaledb-2.19.0",
    ),
    (HOST, settings(session_preload_libraries="pg_cron"), "preload", "missing: pg_cron"),
    (replace(HOST, definitions=frozenset()), WANTS, "locales", "missing: de_DE.UTF-8"),
    (replace(HOST, glibc="2.36"), WANTS, "collations", "shop: glibc 2.41, here 2.36"),
    (replace(HOST, icu="72"), WANTS, "collations", "ICU 76, here 72"),
    (
        HOST,
        replace(WANTS, databases=(replace(DATABASE, version=None, collations=("c 2.36",)),)),
        "collations",
        "shop: glibc 2.36, here 2.41",
    ),
]


@pytest.mark.parametrize(("host", "source", "named", "word"), LACKS)
def test_each_lack_is_named(host: ReceivingHost, source: Source, named: str, word: str) -> None:
    bad = {name: finding for name, finding in judged(host, source).items() if not finding.good}
    assert set(bad) - {"memory" if named == "settings" else ""} == {named}
    assert word in bad[named].observed


def test_another_icu_is_no_harm_where_nothing_sorts_by_it() -> None:
    plain = replace(WANTS, databases=(replace(DATABASE, collations=()),))
    assert judged(replace(HOST, icu="72"), plain)["collations"].good
    assert judged(replace(HOST, icu=None), plain)["collations"].good
    assert judged(replace(HOST, icu=None))["collations"].status is Status.UNKNOWN


def test_what_only_a_host_can_tell_is_not_known_of_a_bundle() -> None:
    bundle = ReceivingHost(60 * GIB, 2 * GIB)
    found = judged(bundle)
    assert found["disk"].good
    for name in ("extensions", "libraries", "preload", "locales", "collations", "major"):
        assert found[name].status is Status.UNKNOWN


def test_packages_that_a_new_host_would_not_get() -> None:
    said = "extension postgresql-17-hypopg hypopg\nlibrary - own\nlibrary postgresql-17 plpgsql\n"
    owned = owners(17, ["hypopg"], ["own", "plpgsql"]).parse(ShellAnswer(0, said))
    given = ["postgresql-17", "postgresql-17-pgvector"]
    found = judge_packages(owned, given, {"postgresql-17": "17.11", "postgresql-17-pgvector": None})
    assert found.status is Status.FAIL
    for word in (
        "extension hypopg is in postgresql-17-hypopg",
        "library own is in no package",
        "postgresql-17-pgvector is not offered",
    ):
        assert word in found.observed


def test_what_hardening_preloads_needs_no_declaration() -> None:
    declared = example_settings()
    preloaded = ["pg_stat_statements", "pgaudit", "pg_cron"]
    assert "postgresql-17-pgaudit" not in extension_packages(declared, 17)
    assert extension_packages(declared, 17, preloaded).count("postgresql-17-pgaudit") == 1
    packages = [*extension_packages(declared, 17, preloaded), "postgresql-17"]
    offered: dict[str, str | None] = dict.fromkeys(packages, "1")
    owned = {"library pgaudit": "postgresql-17-pgaudit"}
    assert judge_packages(owned, packages, offered).status is Status.PASS
    other = owned | {"library pg_cron": "postgresql-17-cron"}
    assert "pg_cron" in judge_packages(other, packages, offered).observed


@pytest.mark.parametrize("text", ["", "[]", "{}", '[{"glibc": "2.41", "icu": ""},{}]'])
def test_what_is_no_description_of_a_server_is_not_known(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read_source(text)
