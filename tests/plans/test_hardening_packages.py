"""The hardening's packages: what is missing is installed, what cannot be had is named."""

from typing import Any

import pytest

from chronos_ops.facts.system import OsRelease
from chronos_ops.model.plan import Plan, RunCommand
from chronos_ops.plans.hardening_packages import (
    LYNIS,
    NEEDED,
    PACKAGE_LISTS,
    PACKAGES,
    PGAUDIT,
)
from tests.recorded_cases import example_settings, parsed

DEBIAN = OsRelease("debian", "13", "trixie", "Debian GNU/Linux 13 (trixie)")
AUDIT = PGAUDIT.format(major=17)
CLUSTERS = parsed("postgres_clusters", "debian-13")


def planned(installed: set[str], offered: set[str], **changed: Any) -> Plan:
    values = {
        "release": DEBIAN,
        "clusters": CLUSTERS,
        "installed": dict.fromkeys(installed, "1"),
        "candidates": {name: "1" if name in offered else None for name in (*NEEDED, AUDIT)},
    }
    return PACKAGES.plan(example_settings(), values | changed)


def listed(installed: set[str], offered: set[str]) -> Plan:
    values = {
        "installed": dict.fromkeys(installed, "1"),
        "candidates": dict.fromkeys(offered, "1"),
    }
    return PACKAGE_LISTS.plan(example_settings(), values)


def asked_of_apt(plan: Plan) -> set[str]:
    deed = plan.changes[0].deeds[-1]
    assert isinstance(deed, RunCommand)
    return set(deed.argv[deed.argv.index("install") + 1 :])


def test_what_is_missing_is_installed_and_all_there_is_nothing_to_do() -> None:
    every = {*NEEDED, AUDIT}
    assert asked_of_apt(planned(set(), every)) == every
    assert asked_of_apt(planned(every - {"ufw"}, every)) == {"ufw"}
    nothing = planned(every, every)
    assert nothing.empty
    assert nothing.noop_reason


def test_each_package_says_what_it_is_for() -> None:
    change = planned({*NEEDED, AUDIT} - {"fail2ban"}, {"fail2ban"}).changes[0]
    assert change.why == "fail2ban: bans (H2)"


def test_a_release_without_pgaudit_does_without() -> None:
    assert planned(set(NEEDED), set(NEEDED)).empty
    assert AUDIT not in asked_of_apt(planned(set(), set(NEEDED)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"release": OsRelease("fedora", "43", "", "Fedora 43")}, "only Debian and Ubuntu"),
        ({"clusters": []}, "pgbackrest_backup_restore installs it"),
    ],
)
def test_an_unfit_host_is_refused(changed: dict[str, Any], said: str) -> None:
    plan = planned(set(), {*NEEDED, AUDIT}, **changed)
    assert plan.empty
    assert any(said in refusal for refusal in plan.refusals)


def test_a_package_that_no_source_has_is_named() -> None:
    plan = planned(set(), {*NEEDED} - {"ufw"})
    assert "ufw: not in the package sources" in plan.refusals[0]


def test_lists_are_fetched_where_apt_knows_nothing_that_is_missing() -> None:
    """dpkg itself gives a candidate for what is installed: that is no list."""
    assert not listed({"ufw"}, {"ufw"}).empty
    assert listed(set(), {"ufw"}).empty
    assert listed(set(NEEDED), {LYNIS}).empty
    assert not listed(set(NEEDED), set(NEEDED)).empty
