"""pg_hba.conf from the parameters: stable, without weak or foreign lines, nobody locked out."""

from dataclasses import replace
from typing import Any

import pytest

from chronos_ops.facts.hba import Line, records
from chronos_ops.facts.postgres import Cluster
from chronos_ops.facts.postgres_access import Login, Visitor
from chronos_ops.facts.postgres_files import ConfigFiles
from chronos_ops.model.hardening import DatabaseAccess, Firewall, Hardening
from chronos_ops.model.plan import Effect, Plan
from chronos_ops.model.settings import Settings
from chronos_ops.plans import access
from chronos_ops.plans.postgres_hba import hba_text, plan
from tests.recorded_cases import example_settings, parsed

NETWORK = "203.0.113.0/24"
DEBIAN = """\
# PostgreSQL Client Authentication Configuration File
local   all             postgres                                peer
local   all             all                                     peer
host    all             all             127.0.0.1/32            scram-sha-256
host    all             all             ::1/128                 scram-sha-256
local   replication     all                                     peer
"""
FOREIGN = """\
local   all   app    trust
local   all   "odd role"  md5
host    all   all   0.0.0.0/0   md5
hostssl all   all   0.0.0.0   0.0.0.0  scram-sha-256
host    app   app   127.0.0.1  255.255.255.255  password
host    all   all   samenet  trust
include /etc/postgresql/more.conf
hostnossl all all ::/0 scram-sha-256
"""
CLUSTER = Cluster("17", "main", 5432, "online", "postgres", "/var/lib/postgresql/17/main")
POSTGRES = Login("postgres", superuser=True, password="none")
APP = Login("app", superuser=False, password="scram")
REPORT = Login("report", superuser=False, password="scram")
OPERATOR = Login("chronos_operator", superuser=False, password="scram")
LOGINS = (APP, OPERATOR, POSTGRES, REPORT)


def settings_of(*declared: DatabaseAccess, **firewall: Any) -> Settings:
    example = example_settings()
    postgres = example.postgres.model_copy(update={"operator_networks": (NETWORK,)})
    hardening = Hardening(database_access=declared, firewall=Firewall(**firewall))
    return example.model_copy(update={"postgres": postgres, "hardening": hardening})


def plan_of(
    settings: Settings,
    text: str = DEBIAN,
    logins: tuple[Login, ...] = LOGINS,
    visitors: tuple[Visitor, ...] = (),
) -> Plan:
    recorded = parsed("postgres_config_files", "debian-13")
    assert isinstance(recorded, ConfigFiles)
    values = {
        "clusters": [CLUSTER],
        "files": replace(recorded, hba_text=text),
        "logins": logins,
        "visitors": visitors,
    }
    return plan(settings, values)


def test_the_generated_file_is_settled_and_so_is_the_backup_runbooks_block() -> None:
    settings = settings_of()
    first = plan_of(settings)
    assert [change.id for change in first.changes] == ["postgres.hba-file"]
    assert first.effect is Effect.RELOAD
    text = first.changes[0].after
    assert plan_of(settings, text).empty
    assert access.with_block(text, access.hba_block(settings)) == text  # access finds its own
    assert text.count("BEGIN chronos-ops") == 1
    after_access = access.with_block(DEBIAN, access.hba_block(settings))
    assert plan_of(settings, after_access).changes[0].after == text


def test_an_ssh_tunnel_needs_no_line_from_outside() -> None:
    settings = settings_of()
    tunnel = settings.postgres.model_copy(update={"connect": "ssh_tunnel"})
    settings = settings.model_copy(update={"postgres": tunnel})
    text = plan_of(settings).changes[0].after
    assert plan_of(settings, text).empty
    assert NETWORK not in text
    assert [line for line in records(text) if line.kind == "hostssl"] == []


def test_what_is_weak_or_foreign_goes_and_local_lines_stay() -> None:
    text = plan_of(settings_of(), DEBIAN + FOREIGN).changes[0].after
    lines = records(text)
    assert Line("local", "all", "postgres", "", "peer") == lines[0]
    assert Line("local", "replication", "all", "", "peer") in lines
    assert Line("local", "all", '"odd role"', "", "scram-sha-256") in lines
    assert Line("host", "app", "app", "127.0.0.1/255.255.255.255", "scram-sha-256") in lines
    assert {line.method for line in lines} <= {"peer", "scram-sha-256", "reject"}
    outside = [li for li in lines if li.kind != "local" and not li.loopback]
    assert {li.kind for li in outside if li.method != "reject"} == {"hostssl"}
    assert {li.address for li in outside if li.method != "reject"} == {NETWORK}
    assert "include" not in text
    assert plan_of(settings_of(), text).empty


def test_every_superuser_is_refused_from_outside_before_anybody_is_let_in() -> None:
    admin = Login("Admin User", superuser=True, password="scram")
    settings = settings_of(DatabaseAccess(role="app", database="appdb"))
    text = plan_of(settings, logins=(POSTGRES, admin)).changes[0].after
    lines = records(text)
    refused = [n for n, line in enumerate(lines) if line.method == "reject"]
    admitted = [n for n, line in enumerate(lines) if line.kind == "hostssl"]
    assert max(refused[:2]) < min(admitted)
    assert {lines[n].user for n in refused} == {"postgres", '"Admin User"'}


def test_declared_roles_come_to_their_database_from_their_networks() -> None:
    settings = settings_of(
        DatabaseAccess(role="app", database="appdb"),
        DatabaseAccess(role="report", database="all", networks=("198.51.100.7/32",)),
        database_networks=("192.0.2.0/24",),
    )
    lines = records(plan_of(settings).changes[0].after)
    assert Line("hostssl", "appdb", "app", "192.0.2.0/24", "scram-sha-256") in lines
    assert Line("hostssl", "all", "report", "198.51.100.7/32", "scram-sha-256") in lines
    operator = settings.postgres.operator_role
    assert Line("hostssl", "all", operator, NETWORK, "scram-sha-256") in lines


@pytest.mark.parametrize(
    ("visitor", "refused"),
    [
        (Visitor("app", "appdb", "203.0.113.9", tls=True), True),
        (Visitor("chronos_operator", "postgres", "203.0.113.9", tls=True), False),
        (Visitor("report", "appdb", "203.0.113.9", tls=True), False),
        (Visitor("report", "appdb", "203.0.113.9", tls=False), True),
        (Visitor("report", "other", "203.0.113.9", tls=True), True),
        (Visitor("app", "appdb", "127.0.0.1", tls=False), False),
        (Visitor("app", "appdb", "::1", tls=False), False),
        (Visitor("app", "appdb", "", tls=False), False),
        (Visitor("postgres", "postgres", "", tls=False), False),
        (Visitor("postgres", "replication", "", tls=False, replication=True), False),
        (Visitor("report", "replication", "203.0.113.9", tls=True, replication=True), True),
        (Visitor("gone", "appdb", "203.0.113.9", tls=True), False),  # it may not log in any more
    ],
)
def test_who_is_connected_now_is_not_locked_out_unasked(visitor: Visitor, refused: bool) -> None:
    settings = settings_of(DatabaseAccess(role="report", database="appdb"))
    found = plan_of(settings, visitors=(visitor,)).refusals
    assert bool(found) is refused
    if refused:
        assert visitor.role in found[0]
        assert "hardening.database_access" in found[0]


def test_a_declared_role_with_an_md5_password_is_named_before_it_is_locked_out() -> None:
    settings = settings_of(DatabaseAccess(role="app", database="appdb"))
    old = Login("app", superuser=False, password="md5")
    other = Login("idle", superuser=False, password="md5")
    settled = plan_of(settings).changes[0].after
    assert "app is kept as md5" in plan_of(settings, settled, (POSTGRES, old)).refusals[0]
    assert "app is kept as md5" in plan_of(settings, logins=(POSTGRES, old)).refusals[0]
    assert not plan_of(settings, logins=(POSTGRES, other)).refusals


def test_names_are_quoted_where_they_must_be() -> None:
    text = hba_text(settings_of(), DEBIAN, ["all", "Root", "plain_1"])
    assert {line.user for line in records(text) if line.address == "all"} == {
        '"all"',
        '"Root"',
        "plain_1",
    }
