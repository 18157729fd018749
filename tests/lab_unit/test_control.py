"""What the operator's side says and writes without a lab."""

import os
import platform
import shutil
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chronos_ops.cli import app
from chronos_ops.lab import control, target
from chronos_ops.lab.acme import LabAcme
from chronos_ops.lab.aws import describe
from chronos_ops.lab.errors import LabError, LabImpossible
from chronos_ops.lab.places import Places
from chronos_ops.model.errors import UsageError
from chronos_ops.model.settings import load_settings


def everything_is_installed(program: str, path: str | None = None) -> str:
    return f"{path and '/usr/bin'}/{program}"


def test_another_system_is_told_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(LabImpossible, match="Darwin") as error:
        control.check_machine()
    assert "any Debian VM" in error.value.hint
    assert error.value.exit_status == 2


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(
        shutil, "which", lambda p, path=None: None if p in ("lxcfs", "nft") else f"{path}{p}"
    )
    with pytest.raises(LabImpossible, match="nft, lxcfs"):
        control.check_machine()


def test_a_normal_user_without_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda p, path=None: None if p == "sudo" else f"{path}{p}")
    with pytest.raises(LabImpossible, match="there is no sudo"):
        control.check_machine()


def test_a_container_without_the_right_to_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", everything_is_installed)
    monkeypatch.setattr(control, "_may_mount", lambda: False)
    with pytest.raises(LabImpossible, match="CAP_SYS_ADMIN"):
        control.check_machine()


def test_a_lab_that_is_not_there() -> None:
    assert control.status("nobody-made-this") is None
    with pytest.raises(LabError, match="not up"):
        control.ssh("nobody-made-this", "db")
    with pytest.raises(LabError, match="no such lab"):
        list(control.logs("nobody-made-this"))
    with pytest.raises(LabImpossible, match="not a lab's name"):
        control.status("../etc")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setenv("CHRONOS_LAB_USER_STATE", str(tmp_path / "mine"))
    monkeypatch.setattr(target, "parameters_dir", lambda: tmp_path / "parameters")
    return Places("try", tmp_path / "state")


HOST = {
    "name": "project-chronos",
    "address": "10.9.8.10",
    "user": "admin",
    "host_keys": ["ssh-ed25519 AAAA", "ssh-rsa BBBB"],
}


def test_the_parameter_file_is_a_valid_target_for_its_owner_alone(
    lab: Places, tmp_path: Path
) -> None:
    lab.user.mkdir(parents=True)
    known_hosts = target.write_known_hosts(lab, [HOST])
    assert known_hosts.read_text() == "10.9.8.10 ssh-ed25519 AAAA\n10.9.8.10 ssh-rsa BBBB\n"
    aws = describe(lab.user, "10.9.8.1", 4566)
    acme = LabAcme(lab.user / "acme", "10.9.8.1")
    path = target.write_parameters(lab, aws, acme, HOST, "10.9.8.0/24", known_hosts)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = load_settings("try", tmp_path / "parameters")
    assert settings.disposable
    assert settings.host.address == "10.9.8.10"
    assert settings.postgres.operator_networks == ("10.9.8.1/32",)
    assert settings.hardening.firewall.database_networks == ("10.9.8.0/24",)
    assert settings.backup.host_s3_uri_style == "path"
    assert settings.aws.endpoint_url == "https://10.9.8.1:4566"
    assert settings.drill.blueprint_id == "debian_13"
    assert settings.hardening.certificate is not None
    assert settings.hardening.certificate.dns_server == "10.9.8.1:8053"


def test_without_an_acme_service_the_target_declares_no_certificate(
    lab: Places, tmp_path: Path
) -> None:
    lab.user.mkdir(parents=True)
    aws = describe(lab.user, "10.9.8.1", 4566)
    target.write_parameters(lab, aws, None, HOST, "10.9.8.0/24", lab.user / "known_hosts")
    assert load_settings("try", tmp_path / "parameters").hardening.certificate is None


def test_a_host_that_is_no_target_is_refused_before_it_is_written(lab: Places) -> None:
    lab.user.mkdir(parents=True)
    aws = describe(lab.user, "10.9.8.1", 4566)
    wrong = HOST | {"address": None}
    with pytest.raises(UsageError, match=r"host\.address"):
        target.write_parameters(lab, aws, None, wrong, "10.9.8.0/24", lab.user / "known_hosts")
    assert not target.parameters_file(lab).exists()


@pytest.mark.parametrize("name", ["test-99", "test-99-own"])
def test_a_name_that_only_tests_may_use_is_refused_before_anything_is_booted(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(control, "up", lambda *a, **k: pytest.fail("a lab was booted"))
    ended = CliRunner().invoke(app, ["lab", "up", "--name", name])
    assert isinstance(ended.exception, UsageError)
    assert name in str(ended.exception)
