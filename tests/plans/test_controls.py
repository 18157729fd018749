"""Controls: data that holds together, judged from recorded readings and from Ubuntu's variants."""

import dataclasses
import functools
from typing import Any

import pytest

from chronos_ops.facts.audit import Readings
from chronos_ops.facts.audit_host import readings as host_readings
from chronos_ops.facts.audit_network import UfwRule
from chronos_ops.facts.audit_system import Sysctl
from chronos_ops.facts.ssh_access import AuthorizedKey
from chronos_ops.hardening.audit import aws_facts, judge_all
from chronos_ops.model.finding import Status
from chronos_ops.plans.controls import CONTROLS
from tests.recorded_cases import example_settings, parsed

SETTINGS = example_settings()


@functools.cache
def _recorded() -> Any:
    return parsed("audit_host", "debian-13")


def recorded() -> dict[str, Any]:
    """The readings of a hardened Debian 13 (a container)."""
    return dict(_recorded().values)


def status(values: dict[str, Any], identifier: str) -> Status:
    control = next(c for c in CONTROLS if c.id == identifier)
    return judge_all(SETTINGS, Readings(values, {}), [control])[0].verdict.status


def test_every_control_is_told_apart_and_reads_what_is_read() -> None:
    names = {r.name for r in host_readings(SETTINGS)} | set(aws_facts(SETTINGS))
    assert len({c.id for c in CONTROLS}) == len(CONTROLS) >= 70
    for control in CONTROLS:
        assert control.id.startswith(f"{control.area}."), control.id
        assert control.title
        assert control.reference
        assert control.mend
        assert control.reads, control.id
        assert set(control.reads) <= names, control.id


def test_no_judge_breaks_on_recorded_readings_and_most_apply() -> None:
    judged = judge_all(SETTINGS, Readings(recorded(), {}))
    broken = [i.control.id for i in judged if "judge broke" in i.verdict.observed]
    assert broken == []
    applying = [i for i in judged if i.verdict.status in (Status.PASS, Status.FAIL)]
    assert len(applying) >= 150


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.id)
def test_a_control_without_its_reading_is_an_error_never_a_pass(control: Any) -> None:
    for name in control.reads:
        values = {k: v for k, v in recorded().items() if k != name}
        missing = {name: "exit code 1: no such thing"}
        (item,) = judge_all(SETTINGS, Readings(values, missing), [control])
        assert item.verdict.status is Status.ERROR
        assert name in item.verdict.observed


def test_in_a_container_the_kernels_own_are_not_applicable_and_on_a_machine_they_are_judged() -> (
    None
):
    values = recorded()
    for identifier in ("kernel.pointers", "kernel.apparmor", "logging.auditd", "time.synchronised"):
        assert status(values, identifier) is Status.NOT_APPLICABLE
    seen = {name: Sysctl(s.value, True) for name, s in values["sysctl"].items()}
    machine = values | {"container": "none", "sysctl": seen}
    for identifier in ("kernel.pointers", "kernel.apparmor", "logging.auditd", "time.synchronised"):
        assert status(machine, identifier) is Status.FAIL
    assert status(machine | {"apparmor": "Y"}, "kernel.apparmor") is Status.PASS


def test_ubuntus_variants_are_accepted() -> None:
    values = recorded()
    units = dict(values["units"])
    units["ssh.service"] = units["ssh.service"] | {"UnitFileState": "disabled"}
    units["ssh.socket"] = {"Id": "ssh.socket", "ActiveState": "active", "UnitFileState": "enabled"}
    units["certbot.timer"] = {"ActiveState": "inactive", "UnitFileState": ""}
    units["snap.certbot.renew.timer"] = {"ActiveState": "active", "UnitFileState": "enabled"}
    origins = {"Unattended-Upgrade::Allowed-Origins": ["Ubuntu:noble-security"]}
    ubuntu = values | {"units": units, "apt": values["apt"] | origins}
    del ubuntu["apt"]["Unattended-Upgrade::Origins-Pattern"]
    assert status(ubuntu, "services.ssh") is Status.PASS
    assert status(ubuntu, "updates.security-origin") is Status.PASS
    assert status(
        ubuntu | {"banners": "==> /etc/issue <==\nUbuntu 24.04\n"}, "filesystem.banners"
    ) is (Status.FAIL)


def test_a_container_engine_routes_and_may() -> None:
    values = recorded()
    seen = values["sysctl"] | {"net.ipv4.ip_forward": Sysctl("1", True)}
    assert status(values | {"sysctl": seen}, "network.forwarding") is Status.FAIL
    docker = values | {"sysctl": seen, "container_engine": ["/usr/bin/dockerd"]}
    assert status(docker, "network.forwarding") is Status.NOT_APPLICABLE
    ports = docker | {"docker_ports": parsed("docker_ports", "published")}
    assert status(ports, "firewall.docker") is Status.FAIL


def test_a_world_open_database_is_a_finding_on_either_family() -> None:
    values = recorded()
    for source, v6 in (("Anywhere", False), ("Anywhere", True)):
        rule = UfwRule("5432/tcp", "ALLOW IN", source, v6)
        ufw = dataclasses.replace(values["ufw"], rules=(*values["ufw"].rules, rule))
        assert status(values | {"ufw": ufw}, "firewall.database-sources") is Status.FAIL


def test_ageing_that_would_lock_a_key_only_operator_out_fails() -> None:
    values = recorded()
    key = AuthorizedKey("admin", "f", 256, "SHA256:x", "c", "ED25519")
    ageing = dataclasses.replace(values["shadow"]["admin"], max_days=365)
    shadow = values["shadow"] | {"admin": ageing}
    access = dataclasses.replace(values["ssh_access"], keys=(key,))
    broken = values | {"shadow": shadow, "ssh_access": access}
    assert status(broken, "accounts.ageing-locks-nobody") is Status.FAIL
    assert status(values, "accounts.ageing-locks-nobody") is Status.PASS


def test_postgres_18_lists_what_of_a_connection_is_logged() -> None:
    values = recorded()
    listed = values["pg_settings"] | {"log_connections": ("receipt,authorization", False)}
    assert status(values | {"pg_settings": listed}, "postgres.log-connections") is Status.PASS
