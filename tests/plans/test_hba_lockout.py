"""Nobody who could log in before pg_hba.conf is written anew is locked out without a word (H5)."""

from dataclasses import replace

import pytest

from chronos_ops.facts.postgres_access import Login, Visitor
from chronos_ops.model.hardening import DatabaseAccess
from chronos_ops.plans import access
from tests.plans.test_postgres_hba import (
    APP,
    DEBIAN,
    LOGINS,
    NETWORK,
    OPERATOR,
    POSTGRES,
    REPORT,
    plan_of,
    settings_of,
)
from tests.recorded_cases import parsed

FIRST = "local all postgres peer\n"
OUTSIDE = DEBIAN + "host all all 0.0.0.0/0 md5\n"
AGED = Login("aged", superuser=False, password="md5")
STANDBY = Login("standby", superuser=False, password="scram")
CLERK = Login("clerk", superuser=False, password="scram", groups=("staff",))
ADMIN = Login("postgres", superuser=True, password="scram")
DECLARED = DatabaseAccess(role="app", database="appdb")


def refusals(
    text: str, *declared: DatabaseAccess, logins: tuple[Login, ...] = LOGINS
) -> tuple[str, ...]:
    return plan_of(settings_of(*declared), text, logins).refusals


@pytest.mark.parametrize("case", ["debian-12", "debian-13", "unconfigured"])
@pytest.mark.parametrize("roles", ["debian-13", "groups"])
@pytest.mark.parametrize("backed_up", [False, True])
def test_the_files_that_debian_and_the_backup_runbook_leave_pass_unasked(
    case: str, roles: str, backed_up: bool
) -> None:
    text = parsed("postgres_config_files", case).hba_text
    settings = settings_of(DECLARED)
    if backed_up:
        text = access.with_block(text, access.hba_block(settings))
    found = plan_of(settings, text, parsed("postgres_logins", roles))
    assert found.changes
    assert not found.refusals
    settled = plan_of(settings, found.changes[0].after, parsed("postgres_logins", roles))
    assert settled.empty
    assert not settled.refusals


@pytest.mark.parametrize(
    "line",
    [
        "local all app trust",
        "local all all ldap ldapserver=x",
        "host all all 127.0.0.1/32 ident map=m",
        "host all app ::1/128 trust",
        "hostnossl all app 203.0.113.0/24 scram-sha-256",
        "hostgssenc all app 203.0.113.0/24 gss",
        "host replication standby 203.0.113.5/32 md5",
        "host appdb app 198.51.100.0/24 scram-sha-256",
        "host all all samenet scram-sha-256",
        "host appdb app app.example scram-sha-256",
        "host appdb report 203.0.113.0/24 scram-sha-256",
        "host appdb,other app 203.0.113.0/24 scram-sha-256",
        "host appdb,replication app 203.0.113.0/24 scram-sha-256",
        "host @files app 203.0.113.0/24 scram-sha-256",
        "host appdb @files 203.0.113.0/24 scram-sha-256",
        "host appdb /^rep 203.0.113.0/24 scram-sha-256",
        "host appdb +staff 203.0.113.0/24 scram-sha-256",
        "host all postgres 203.0.113.0/24 md5",
        "hostssl appdb chronos_operator 198.51.100.0/24 scram-sha-256",
        "include more.conf",
    ],
)
def test_a_line_that_would_go_is_named_with_what_to_do(line: str) -> None:
    found = refusals(f"{DEBIAN}{line}\n", DECLARED, logins=(*LOGINS, CLERK, STANDBY))
    assert len(found) == 1
    assert f"`{line}`" in found[0]
    assert "by hand" in found[0]


@pytest.mark.parametrize(
    "line",
    [
        "host all all 203.0.113.0/24 reject",
        "local all all ident map=m",  # peer on the socket, as the server takes it
        "hostssl all app 127.0.0.1/32 cert map=m",
        "host appdb app 203.0.113.0/24 md5",
        "hostssl appdb app 0.0.0.0/0 password",
        "hostssl all app all scram-sha-256",
        "host appdb chronos_operator 203.0.113.0/24 scram-sha-256",
        "host appdb +staff 203.0.113.0/24 scram-sha-256",  # nobody can use it
    ],
)
def test_a_line_goes_unasked_where_declared_roles_do_what_it_did(line: str) -> None:
    assert not refusals(f"{DEBIAN}{line}\n", DECLARED)


def test_all_is_each_role_that_can_use_the_line() -> None:
    found = refusals(OUTSIDE, DECLARED)
    assert len(found) == 1
    assert "report could not come" in found[0]
    assert not refusals(OUTSIDE, DECLARED, replace_role(DECLARED, "report"))
    passwordless = replace(REPORT, password="none")
    assert not refusals(OUTSIDE, DECLARED, logins=(APP, OPERATOR, POSTGRES, passwordless))
    trusted = OUTSIDE.replace("0.0.0.0/0 md5", "0.0.0.0/0 trust")
    assert "postgres, report could" in refusals(trusted, DECLARED)[0]


def replace_role(declared: DatabaseAccess, role: str) -> DatabaseAccess:
    return declared.model_copy(update={"role": role})


def test_a_declared_role_keeps_its_way_in_from_the_machine_itself() -> None:
    alone = FIRST + "host appdb app 0.0.0.0/0 scram-sha-256\n"
    assert "from this machine itself" in refusals(alone, DECLARED)[0]
    before = alone.replace("host appdb", "host all all 127.0.0.1/32 scram-sha-256\nhost appdb")
    assert not refusals(before, DECLARED)


def test_a_standby_that_is_away_has_its_line_declared() -> None:
    text = DEBIAN + "host replication standby 203.0.113.5/32 scram-sha-256\n"
    everything = DatabaseAccess(role="standby", database="all")
    assert "standby could not" in refusals(text, everything, logins=(STANDBY, POSTGRES))[0]
    declared = DatabaseAccess(role="standby", database="replication", networks=("203.0.113.5/32",))
    assert not refusals(text, declared, logins=(STANDBY, POSTGRES))
    written = plan_of(settings_of(declared), text, (STANDBY, POSTGRES)).changes[0].after
    line = next(li for li in written.splitlines() if " standby " in li)
    assert line.split()[:4] == ["hostssl", "replication", "standby", "203.0.113.5/32"]
    assert not refusals(written, declared, logins=(STANDBY, POSTGRES))


@pytest.mark.parametrize(
    "line",
    ["local all aged md5", "host all all 127.0.0.1/32 md5", "host x +old ::1/128 password"],
)
def test_an_old_password_is_named_before_its_line_asks_scram(line: str) -> None:
    aged = replace(AGED, groups=("old",))
    found = refusals(f"{FIRST}{line}\n", logins=(aged, POSTGRES))
    assert len(found) == 1
    assert "the password of aged is kept as md5" in found[0]
    assert "\\password aged" in found[0]
    scram = replace(aged, password="scram")
    assert not refusals(f"{FIRST}{line}\n", logins=(scram, POSTGRES))
    assert not refusals(f"{FIRST}local all other md5\n", logins=(aged, POSTGRES))


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        ("local all postgres peer map=root", True),
        ("local all all peer map=root", True),
        ("local all all ident map=root", True),
        ("local all all md5", True),
        ("local app postgres scram-sha-256", True),
        ("local replication all scram-sha-256", False),
        ("local all app scram-sha-256", False),
        ("local all all peer", False),
        ("local all postgres reject", False),
    ],
)
def test_postgres_own_line_does_not_come_before_another_way_in(line: str, refused: bool) -> None:
    found = refusals(f"{line}\n", logins=(ADMIN,))
    assert bool(found) is refused
    assert not refused or f"`{line}` lets postgres in over the unix socket" in found[0]
    assert not refusals(f"{FIRST}{line}\n", logins=(ADMIN,))


def test_a_client_that_came_by_trust_or_by_peer_does_not_have_to_know_a_password() -> None:
    text = FIRST + "hostssl all all 203.0.113.0/24 trust\n"
    visitor = Visitor("app", "appdb", "203.0.113.9", tls=True)
    found = plan_of(settings_of(DECLARED), text, (APP,), (visitor,)).refusals
    assert len(found) == 1
    assert "connected to appdb" in found[0]
    assert "trust` lets it in now" in found[0]
    root = Visitor("postgres", "postgres", "", tls=False)
    assert not plan_of(settings_of(), "local all all peer\n", visitors=(root,)).refusals
    socket = Visitor("app", "appdb", "", tls=False)
    found = plan_of(settings_of(), "local all all trust\n", (APP,), (socket,)).refusals
    assert len(found) == 2
    assert "over the unix socket" in found[0]
    assert "`local all all trust`" in found[1]


def test_declared_lines_and_the_operators_block_are_not_of_another_hand() -> None:
    settings = settings_of(DECLARED)
    text = plan_of(settings).changes[0].after
    text = access.with_block(text, access.hba_block(settings))
    assert plan_of(settings, text).empty
    undeclared = plan_of(settings_of(), text)
    assert not undeclared.refusals
    assert "appdb" not in undeclared.changes[0].after
    assert NETWORK in undeclared.changes[0].after


def test_a_declared_superuser_is_told_before_it_is_refused_from_outside() -> None:
    """Also where the file is settled: the role may have become one since."""
    root = Login("app", superuser=True, password="scram")
    settings = settings_of(DECLARED)
    for text in (DEBIAN, plan_of(settings, DEBIAN, (POSTGRES,)).changes[0].after):
        (said,) = plan_of(settings, text, (POSTGRES, root)).refusals
        assert "ALTER ROLE app NOSUPERUSER" in said
