"""Judges of what is served, and of the machinery behind it."""

import ssl
from dataclasses import replace

import pytest

from chronos_ops.connectors.postgres import PgAddress
from chronos_ops.connectors.tls import Shown
from chronos_ops.facts.certbot import Certbot
from chronos_ops.facts.certificates import CertificateFile
from chronos_ops.facts.postgres_access import Login
from chronos_ops.facts.systemd import Unit
from chronos_ops.hardening.outside_database import (
    access_cases,
    judge_listens,
    judge_logins,
    judge_rules,
)
from chronos_ops.hardening.renewal import dry_run_argv, is_due
from chronos_ops.hardening.served import (
    judge_chain,
    judge_days,
    judge_key,
    judge_renewals,
    judge_serial,
    judge_timer,
)
from chronos_ops.model.errors import TransportError
from chronos_ops.model.finding import Status
from chronos_ops.model.hardening import Certificate, DatabaseAccess, Hardening
from tests.recorded_cases import example_settings, parsed

SERVICE = Unit("certbot.service", "loaded", "inactive", "dead", "static", "success")
TIMER = Unit("certbot.timer", "loaded", "active", "waiting", "enabled", "success", "Mon 2026")


@pytest.fixture
def file() -> CertificateFile:
    found = parsed("certificate_file", "debian-13")
    assert isinstance(found, CertificateFile)
    return found


def test_a_renewed_certificate_that_is_not_served(file: CertificateFile) -> None:
    assert judge_serial("x", "t", file.leaf, file).status is Status.PASS
    old = replace(file.leaf, serial="00")
    assert judge_serial("x", "t", old, file).status is Status.FAIL
    assert judge_serial("x", "t", file.leaf, None).status is Status.FAIL


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, Status.PASS),
        ({"key_mode": "644"}, Status.FAIL),
        ({"key_mode": "640"}, Status.FAIL),
        ({"key_owner": "root:root"}, Status.FAIL),
        ({"key_matches": False}, Status.FAIL),
    ],
)
def test_the_key(file: CertificateFile, change: dict[str, object], status: Status) -> None:
    assert judge_key(replace(file, **change), file).status is status  # type: ignore[arg-type]
    assert judge_key(None, file).status is Status.FAIL
    assert judge_key(file, None).status is Status.FAIL


def test_days_left(file: CertificateFile) -> None:
    leaf = file.leaf
    half = replace(file, chain=(replace(leaf, not_after=leaf.not_before),))
    assert judge_days(half, 21).status is Status.FAIL
    assert judge_days(None, 21).status is Status.FAIL
    assert is_due(half)


def test_certbot_ends_well_although_its_hook_failed() -> None:
    assert judge_renewals(SERVICE, "").status is Status.PASS
    found = judge_renewals(SERVICE, "2026-11-23T01:40:00Z PostgreSQL does not answer")
    assert found.status is Status.FAIL
    assert "does not answer" in found.observed
    failed = replace(SERVICE, active="failed", result="exit-code")
    assert judge_renewals(failed, "").status is Status.FAIL


def test_a_renewal_must_be_scheduled() -> None:
    assert judge_timer(TIMER).status is Status.PASS
    for wrong in (
        replace(TIMER, enabled="disabled"),
        replace(TIMER, active="inactive"),
        replace(TIMER, next_elapse=""),
    ):
        assert judge_timer(wrong).status is Status.FAIL


def test_what_could_not_be_looked_at_is_not_known() -> None:
    look = ("db.example", TransportError("no TLS at 10.0.0.1:5432"))
    assert judge_chain(look).status is Status.UNKNOWN
    assert judge_chain(("*.db.example", look[1])).id == "certificate.verified.*.db.example"


def test_a_client_that_does_not_verify(file: CertificateFile) -> None:
    first = file.chain_pem.split("-----END")[0] + "-----END CERTIFICATE-----\n"
    der = ssl.PEM_cert_to_DER_cert(first)
    good = Shown(der, "TLSv1.3", "X", verified=True, said="")
    assert judge_chain(("automatonicai.com", good)).status is Status.PASS
    assert judge_chain(("other.example", good)).status is Status.FAIL
    bad = Shown(der, "TLSv1.3", "X", verified=False, said="certificate has expired")
    found = judge_chain(("automatonicai.com", bad))
    assert found.status is Status.FAIL
    assert found.observed == "certificate has expired"


def test_a_rehearsal_goes_to_no_foreign_staging() -> None:
    certbot = Certbot("/usr/bin/certbot", "4.0.0", "certbot")
    public = dry_run_argv(Certificate(names=("a.example",)), certbot)
    assert "--dry-run" in public
    assert "--server" not in public  # certbot's own staging
    own = dry_run_argv(
        Certificate(names=("a.example",), directory_url="https://ca.example/dir"), certbot
    )
    assert own[own.index("--server") + 1] == "https://ca.example/dir"


def test_passwords_and_rules() -> None:
    logins = parsed("postgres_logins", "debian-13")
    assert judge_logins(logins).status is Status.PASS
    found = judge_logins((*logins, Login("aged", superuser=False, password="md5")))
    assert found.status is Status.FAIL
    assert "aged" in found.observed
    assert judge_rules(parsed("postgres_rules", "debian-13")).status is Status.PASS
    wrong = judge_rules(parsed("postgres_rules", "wrong-line"))
    assert wrong.status is Status.FAIL
    assert "invalid connection type" in wrong.observed
    assert "host md5" in wrong.observed


def test_loopback_alone_is_not_enough() -> None:
    assert judge_listens(("*",)).status is Status.PASS
    assert judge_listens(parsed("listening_addresses", "debian-13")).status is Status.PASS
    assert judge_listens(("127.0.0.1", "[::1]")).status is Status.FAIL
    assert judge_listens(()).status is Status.FAIL


def test_every_declared_role_is_tried_in_a_database_that_is_not_its_own() -> None:
    access = (
        DatabaseAccess(role="app", database="appdb"),
        DatabaseAccess(role="app", database="postgres"),
        DatabaseAccess(role="report", database="all"),
    )
    settings = example_settings().model_copy(
        update={"hardening": Hardening(database_access=access)}
    )
    cases = {c.id: c for c in access_cases(settings, PgAddress("h", 5432, "postgres", "o"))}
    assert set(cases) == {"plain", "superuser", "undeclared-role", "other-database.app"}
    assert cases["other-database.app"].address.dbname == "template1"
    assert cases["plain"].address.sslmode == "disable"
