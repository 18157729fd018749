"""What a cluster consists of beside its rows, from what pg_dump really wrote."""

import pytest

from chronos_ops.connectors.ssh import SshAddress
from chronos_ops.drill.catalog import check_indexes, judge_catalog, parse_dump, parse_roles
from chronos_ops.model.finding import Status

DUMP = """--
-- PostgreSQL database dump
--

\\restrict aBcRandomWord

-- Dumped from database version 17.6 (Debian 17.6-0+deb13u1)

SET statement_timeout = 0;

--
-- Name: chronos_drill; Type: DATABASE; Schema: -; Owner: postgres
--

CREATE DATABASE chronos_drill WITH TEMPLATE = template0;

\\unrestrict aBcRandomWord
\\encoding SQL_ASCII
\\connect -reuse-previous=on "dbname='chronos_drill'"
\\restrict aBcRandomWord

--
-- Name: customers; Type: TABLE; Schema: shop; Owner: postgres
--

CREATE TABLE shop.customers (
    id integer NOT NULL
);

--
-- Name: a; Type: b; Type: INDEX; Schema: shop; Owner: postgres
--

CREATE INDEX "a; Type: b" ON shop.customers USING btree (id);

--
-- Name: TABLE customers; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.customers TO reader;

--
-- PostgreSQL database dump complete
--

\\unrestrict aBcRandomWord
"""
ROLES = """--
-- PostgreSQL database cluster dump
--

\\restrict otherWord
SET default_transaction_read_only = off;

CREATE ROLE reader;
ALTER ROLE reader WITH NOSUPERUSER INHERIT LOGIN;

\\unrestrict otherWord
"""
AMCHECK = """--
-- Name: amcheck; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS amcheck WITH SCHEMA public;

--
-- Name: EXTENSION amcheck; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON EXTENSION amcheck IS 'functions for verifying relation integrity';
"""


def test_each_object_goes_by_its_kind_and_name() -> None:
    assert list(parse_dump("a", DUMP)) == [
        "a: DATABASE chronos_drill",
        "a: TABLE shop.customers",
        "a: INDEX shop.a; Type: b",
        "a: ACL shop.TABLE customers",
    ]
    assert list(parse_roles(ROLES)) == [
        "role: CREATE ROLE reader;",
        "role: ALTER ROLE reader WITH NOSUPERUSER INHERIT LOGIN;",
    ]


def test_the_same_cluster_is_equal_whatever_word_pg_dump_drew() -> None:
    again = DUMP.replace("aBcRandomWord", "xYz").replace("17.6 (Debian", "17.7 (Debian")
    again = again.replace("SQL_ASCII", "UTF8")  # as another session is encoded
    default = "SET default_tablespace = '';\n\n"  # belongs to whichever comes first
    again = again.replace("--\n-- Name: customers", f"{default}--\n-- Name: customers")
    found = judge_catalog(parse_dump("a", DUMP), parse_dump("a", again))
    assert (found.status, found.observed) == (Status.PASS, "4 objects equal")


def test_what_the_proof_itself_installs_does_not_count() -> None:
    after = parse_dump("a", DUMP.replace("--\n-- PostgreSQL database dump complete", AMCHECK))
    assert judge_catalog(parse_dump("a", DUMP), after).status is Status.PASS


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "GRANT SELECT",
            "GRANT INSERT",
            "is another (- GRANT SELECT ON TABLE shop.customers TO reader; / + GRANT INSERT ON",
        ),
        ("id integer NOT NULL", "id integer", "a: TABLE shop.customers is another"),
        ("Name: customers;", "Name: clients;", "a: TABLE shop.customers is missing"),
        ("Name: customers;", "Name: clients;", "a: TABLE shop.clients is new"),
    ],
)
def test_what_differs_is_named(old: str, new: str, told: str) -> None:
    found = judge_catalog(parse_dump("a", DUMP), parse_dump("a", DUMP.replace(old, new)))
    assert found.status is Status.FAIL
    assert told in found.observed


def test_nothing_to_compare_is_no_pass() -> None:
    assert judge_catalog({}, {}).status is Status.FAIL


class Psql:
    """Answers as psql did: databases, then the indexes of each."""

    address = SshAddress("10.0.0.1", 22, "admin", "", ())

    def __init__(self, **valid: bool) -> None:
        self.valid = valid

    def sql_rows(self, sql: str, database: str = "postgres") -> list[dict[str, object]]:
        if "pg_database" in sql:
            return [{"datname": "a"}]
        return [{"name": name, "valid": valid} for name, valid in self.valid.items()]


def test_an_invalid_index_is_named() -> None:
    found = check_indexes(Psql(whole=True, half=False))  # type: ignore[arg-type]
    assert (found.status, found.observed) == (Status.FAIL, "a: half")
    good = check_indexes(Psql(whole=True))  # type: ignore[arg-type]
    assert (good.status, good.observed) == (Status.PASS, "1 valid")
    assert check_indexes(Psql()).status is Status.NOT_APPLICABLE  # type: ignore[arg-type]
