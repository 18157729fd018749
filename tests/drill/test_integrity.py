"""What integrity checks make of what they are told."""

import json

import pytest

from chronos_ops.drill.integrity import (
    DatabaseDigest,
    TableDigest,
    conninfo,
    judge_amcheck,
    judge_digests,
    judge_rows_read,
    judge_sequences,
    judge_unlogged,
    parse_database,
)
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.finding import Status

LINES = "\n".join(
    json.dumps(line)
    for line in (
        {"table": "shop.orders", "unlogged": False, "rows": 3, "digest": "-77"},
        {"table": "shop.sessions", "unlogged": True, "rows": 0, "digest": "0"},
        {"objects": 2, "digest": "5"},
        {"sequence": "shop.orders_id_seq", "column": "shop.orders.id", "next": 4, "max": 3},
        {"sequence": "shop.b_seq", "column": "shop.b.id", "next": 1, "max": None},
    )
)


def test_a_database_is_read_from_lines() -> None:
    found = parse_database("a", LINES)
    assert found.tables["shop.orders"] == TableDigest(3, "-77")
    assert (found.rows, found.large_objects, found.sequences) == (3, 2, 2)
    assert judge_sequences({"a": found}).status is Status.PASS
    assert judge_unlogged({"a": found}).status is Status.PASS
    assert judge_rows_read({"a": found}).status is Status.PASS


def test_an_answer_cut_off_is_not_an_empty_database() -> None:
    with pytest.raises(UnreadableAnswer):
        parse_database("a", LINES.splitlines()[0])
    with pytest.raises(UnreadableAnswer):
        parse_database("a", "ERROR: something")


def test_faults_are_seen() -> None:
    behind = LINES.replace('"next": 4', '"next": 3').replace('"rows": 0', '"rows": 1')
    found = {"a": parse_database("a", behind)}
    assert judge_sequences(found).status is Status.FAIL
    assert "3 is used" in judge_sequences(found).observed
    assert judge_unlogged(found).status is Status.FAIL
    assert judge_rows_read({"a": DatabaseDigest("a")}).status is Status.FAIL


def test_digests_differ_are_missing_or_equal() -> None:
    old = {"a": parse_database("a", LINES)}
    assert judge_digests(old, old).status is Status.PASS
    changed = {"a": parse_database("a", LINES.replace('"-77"', '"-78"'))}
    assert judge_digests(old, changed).status is Status.FAIL
    assert judge_digests(old, changed, moving=("shop.orders",)).status is Status.FAIL  # none left
    assert "missing" in judge_digests(old, {}).observed
    assert judge_digests({}, {}).status is Status.FAIL  # nothing compared is no proof


def test_amcheck_must_have_looked() -> None:
    looked = 'pg_amcheck: checking heap table "a"\npg_amcheck: checking btree index "b"\n'
    assert judge_amcheck(0, looked).status is Status.PASS
    assert judge_amcheck(0, "").status is Status.UNKNOWN
    assert judge_amcheck(1, looked + "pg_amcheck: error: could not connect").status is (
        Status.UNKNOWN
    )
    corrupt = judge_amcheck(2, looked + 'btree index "db.public.i":\n    ERROR:  item order')
    assert corrupt.status is Status.FAIL
    assert "item order" in corrupt.observed


def test_a_database_name_is_no_connection_string() -> None:
    assert conninfo("host=evil o'neil") == "dbname='host=evil o\\'neil'"


def test_a_sequence_that_feeds_nothing_may_be_ahead_of_before_and_never_behind() -> None:
    def at(value: int) -> dict[str, DatabaseDigest]:
        line = json.dumps({"counter": "shop.invoice_number", "next": value})
        end = json.dumps({"objects": 0, "digest": "0"})
        return {"a": parse_database("a", f"{line}\n{end}")}

    assert judge_sequences(at(400), at(380)).status is Status.PASS
    assert judge_sequences(at(380), at(380)).status is Status.PASS
    behind = judge_sequences(at(370), at(380))
    assert behind.status is Status.FAIL
    assert "a: shop.invoice_number at 370, was at 380" in behind.observed
    gone = {"a": parse_database("a", json.dumps({"objects": 0, "digest": "0"}))}
    assert "at nothing" in judge_sequences(gone, at(380)).observed
