"""Jails that drop, and never ban an operator; what they do otherwise is named and mended."""

from dataclasses import replace
from typing import Any

import pytest

from chronos_ops.facts.fail2ban import Fail2ban, Jail
from chronos_ops.facts.postgres_files import ConfigFiles
from chronos_ops.facts.postgres_log import Stderr
from chronos_ops.facts.sshd import MAIN
from chronos_ops.model.plan import RemoveFile, RunCommand, WriteFile
from chronos_ops.model.settings import Settings
from chronos_ops.plans import fail2ban as bans
from chronos_ops.plans.fail2ban import FILTER_PATH, JAILS_PATH, is_spared
from chronos_ops.plans.postgres_log import Source
from tests.plans.test_postgres_log import CLUSTER, FILE, rows
from tests.plans.test_ssh import DEBIAN, look
from tests.recorded_cases import example_settings


@pytest.fixture
def settings() -> Settings:
    return example_settings()


def server(**changed: Any) -> Fail2ban:
    plain = Fail2ban(
        installed=True,
        version="1.1.0",
        active="active",
        enabled="enabled",
        answers=True,
        error="",
        log="/var/log/fail2ban.log",
        reads_journal=True,
        started=2000,
        changed=1000,
        jails={},
        dropped=frozenset(),
        verdicts=(),
    )
    return replace(plain, **changed)


def values(settings: Settings, **changed: Any) -> dict[str, Any]:
    directory = "/etc/postgresql/17/main"
    return {
        "fail2ban": server(),
        "sshd": look({MAIN: DEBIAN}),
        "texts": {JAILS_PATH: None, FILTER_PATH: None},
        "clusters": [CLUSTER],
        "log": rows(),
        "collector": {},
        "stderr": Stderr(FILE, "Etc/UTC"),
        "files": ConfigFiles(
            f"{directory}/postgresql.conf", "", "", f"{directory}/conf.d", True, {}
        ),
    } | changed


def in_operation(settings: Settings, **changed: Any) -> Fail2ban:
    def jail(name: str, **given: Any) -> Jail:
        spared = bans.spared_networks(settings)
        plain = Jail(name, (), (), (), spared, 3600, 600, 5, ("drop",), ("22,5432",), 0)
        return replace(plain, **given)

    journal = ("_SYSTEMD_UNIT=ssh.service + _COMM=sshd",)
    jails = {
        "sshd": jail("sshd", journal=journal),
        "postgresql": jail("postgresql", files=(FILE,)),
    }
    return replace(server(jails=jails), **changed)


def configured(settings: Settings, **changed: Any) -> dict[str, Any]:
    given = values(settings, fail2ban=in_operation(settings)) | changed
    found, prefix = bans.wanted_source(given, CLUSTER)
    given["texts"] = {
        JAILS_PATH: bans.jail_text(settings, given, found),
        FILTER_PATH: bans.filter_text(found, prefix),
    }
    return given


def test_a_fresh_host_gets_jails_that_drop(settings: Settings) -> None:
    [change] = bans.plan(settings, values(settings)).changes
    assert change.guard
    assert "banaction = nftables[blocktype=drop]" in change.after
    assert f"logpath = {FILE}" in change.after
    spared = " ".join(settings.postgres.operator_networks)
    assert f"ignoreip = 127.0.0.0/8 ::1/128 {spared}" in change.after
    assert RemoveFile(path=JAILS_PATH) in change.undo
    last = change.deeds[-1]
    assert isinstance(last, RunCommand)
    assert last.argv[-2:] == ("sshd:journal", "postgresql:file")
    [jails] = [d for d in change.deeds if isinstance(d, WriteFile) and d.path == JAILS_PATH]
    assert "%" not in jails.content  # nothing is left to fail2ban's own substitution


def test_a_percent_of_the_pattern_is_doubled_for_fail2ban() -> None:
    text = bans.filter_text(Source("lines", file=FILE), "%m 100%% %h ")
    assert "100%%" in text.splitlines()[4]


def test_configured_and_in_operation_nothing_is_to_do(settings: Settings) -> None:
    found = bans.plan(settings, configured(settings))
    assert found.empty, found.changes
    assert FILE in found.noop_reason


@pytest.mark.parametrize(
    ("jail", "changed", "named"),
    [
        ("postgresql", {"files": ("/var/log/old.log",)}, "reads /var/log/old.log"),
        ("postgresql", {"blocktypes": ("reject",)}, "bans by reject"),
        ("sshd", {"ignored": ("127.0.0.1",)}, "may be banned"),
        ("sshd", {"ports": ("2222",)}, "guards port 2222"),
        ("sshd", {"journal": ("_SYSTEMD_UNIT=sshd.service",)}, "reads _SYSTEMD_UNIT"),
        ("sshd", {"max_retry": 500}, "500"),
    ],
)
def test_what_a_jail_does_otherwise_is_named_and_mended(
    settings: Settings, jail: str, changed: dict[str, Any], named: str
) -> None:
    running = in_operation(settings)
    running = replace(
        running, jails={**running.jails, jail: replace(running.jails[jail], **changed)}
    )
    [change] = bans.plan(settings, configured(settings, fail2ban=running)).changes
    assert named in change.why


@pytest.mark.parametrize(
    "changed",
    [
        {"active": "failed", "answers": False},
        {"jails": {}},
        {"changed": 9999},
        {"enabled": "disabled"},
    ],
)
def test_a_dead_server_or_jail_is_started(settings: Settings, changed: dict[str, Any]) -> None:
    given = configured(settings, fail2ban=in_operation(settings, **changed))
    assert [c.id for c in bans.plan(settings, given).changes] == ["bans.jails"]


def test_a_banned_operator_is_let_in_and_a_stranger_is_not(settings: Settings) -> None:
    operator = settings.postgres.operator_networks[0].partition("/")[0]
    running = in_operation(settings)
    jail = replace(running.jails["sshd"], banned=("192.0.2.254", operator))
    running = replace(running, jails={**running.jails, "sshd": jail})
    [change] = bans.plan(settings, configured(settings, fail2ban=running)).changes
    assert change.id == "bans.let-in.sshd"
    assert change.deeds == (
        RunCommand(argv=("fail2ban-client", "set", "sshd", "unbanip", operator)),
    )


def test_sparing_the_whole_world_is_refused(settings: Settings) -> None:
    postgres = settings.postgres.model_copy(update={"operator_networks": ("0.0.0.0/0",)})
    wide = settings.model_copy(update={"postgres": postgres})
    assert "nobody would be" in bans.plan(wide, values(wide)).refusals[0]


def test_without_fail2ban_or_a_way_to_read_the_journal_it_is_refused(settings: Settings) -> None:
    none = bans.plan(settings, values(settings, fail2ban=server(installed=False)))
    assert "not installed" in none.refusals[0]
    given = values(
        settings, fail2ban=server(reads_journal=False), log=rows(log_destination="syslog")
    )
    assert "python3-systemd" in bans.plan(settings, given).refusals[0]


def test_networks_of_both_families() -> None:
    assert is_spared("10.1.2.3", ("10.0.0.0/8",))
    assert is_spared("2001:db8::5", ("10.0.0.0/8", "2001:db8::/32"))
    assert not is_spared("10.1.2.3", ("2001:db8::/32", "10.2.0.0/16"))
    assert not is_spared("no-address", ("10.0.0.0/8",))
