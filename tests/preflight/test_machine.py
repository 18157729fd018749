"""This machine, the names, the parameter file."""

import time
from collections import namedtuple
from email.utils import formatdate
from pathlib import Path
from typing import Any, ClassVar

import pytest

from chronos_ops.connectors.web import Answer
from chronos_ops.model.errors import TransportError
from chronos_ops.model.finding import Status
from chronos_ops.preflight import declared, machine, names, session
from chronos_ops.preflight.machine import judge_clock
from tests.preflight.looking import Target, found, wrong

SSO = "[profile chronos-operator]\nsso_session = x\n"
Usage = namedtuple("Usage", "free")


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A machine with everything; what a test takes away is missing."""
    key, config, tools = tmp_path / "key", tmp_path / "config", tmp_path / "tools"
    key.touch(0o600)
    config.write_text(SSO)
    tools.mkdir()
    for name, says in (("aws", "aws-cli/2.23.6 Python/3.13"), ("nmap", "Nmap version 7.95 ( x )")):
        (tools / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    answers(monkeypatch, 0.0)
    settings = {"aws.config_file": str(config), "aws.credentials_file": str(tmp_path / "none")}
    return Target(settings={"host.key_file": str(key), **settings})


def answers(monkeypatch: pytest.MonkeyPatch, off: float, **headers: str) -> None:
    told = headers or {"date": formatdate(time.time() + off, usegmt=True)}
    monkeypatch.setattr(machine, "fetch", lambda *_, **__: Answer(403, told, b""))


def test_a_machine_with_everything(target: Target) -> None:
    outcome = session.machine(target.context())
    assert wrong(outcome) == {}
    assert found(outcome)["machine.aws-cli"].observed == "2.23.6"
    assert "nmap 7.95" in found(outcome)["machine.tools"].observed


def test_a_key_that_others_may_read_or_that_is_not_there(target: Target) -> None:
    key = Path(target.settings["host.key_file"])
    key.chmod(0o640)
    assert wrong(session.machine(target.context())) == {
        "machine.key": (Status.FAIL, f"{key}: 0640")
    }
    key.unlink()
    assert "no such file" in wrong(session.machine(target.context()))["machine.key"][1]


def test_without_aws_cli_2_a_profile_with_sso_cannot_log_in(target: Target) -> None:
    tools = Path(target.settings["host.key_file"]).parent / "tools"
    (tools / "aws").write_text("#!/bin/sh\necho 'aws-cli/1.45.11 Python/3.11'\n")
    assert wrong(session.machine(target.context())) == {"machine.aws-cli": (Status.FAIL, "1.45.11")}
    (tools / "aws").unlink()
    outcome = session.machine(target.context())
    assert wrong(outcome) == {"machine.aws-cli": (Status.FAIL, "not installed")}
    assert "aws sso login --profile chronos-operator" in found(outcome)["machine.aws-cli"].hint
    Path(target.settings["aws.config_file"]).write_text(
        "[profile chronos-operator]\ncredential_process = /bin/true\n"
    )
    seen = found(session.machine(target.context()))["machine.aws-cli"]
    assert seen.status is Status.NOT_APPLICABLE


def test_no_nmap_and_no_room_are_findings(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path(target.settings["host.key_file"]).parent / "tools/nmap").unlink()
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1024**2))
    seen = wrong(session.machine(target.context()))
    assert {name: status for name, (status, _) in seen.items()} == {
        "machine.tools": Status.FAIL,
        "machine.disk": Status.FAIL,
    }


@pytest.mark.parametrize("off", [-900.0, 900.0])
def test_a_clock_that_aws_would_refuse(
    target: Target, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    answers(monkeypatch, off)
    assert wrong(session.machine(target.context()))["machine.clock"][0] is Status.FAIL


def test_an_answer_without_a_date_tells_no_time(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, 0, server="x")
    assert wrong(session.machine(target.context()))["machine.clock"][0] is Status.UNKNOWN


@pytest.mark.parametrize(
    ("theirs", "step", "apart"),
    [(100.0, 0.0, 0.0), (94.0, 0.0, 6.0), (94.0, 1.0, 5.0), (107.5, 0.0, 6.5), (100.5, 0.0, 0.0)],
)
def test_two_clocks_are_compared_by_what_is_certain(
    theirs: float, step: float, apart: float
) -> None:
    seen = judge_clock("x", "x", 100.0, 101.0, theirs, step)
    assert seen.good == (apart <= 5.0)
    assert seen.observed == (f"{apart:.1f} s apart, or less" if apart else "they agree")


class Zone:
    """Answers by (name, type)."""

    records_of: ClassVar[dict[tuple[str, str], Any]] = {}

    def __init__(self, server: str | None) -> None: ...

    def records(self, name: str, kind: str) -> list[str]:
        told = self.records_of.get((name, kind), [])
        if isinstance(told, Exception):
            raise told
        return list(told)


def test_dns_records_there_wrong_missing_and_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "Names", Zone)
    www, mail = "www.example.org", {"name": "example.org", "type": "MX"}
    declared_records = [{"name": "example.org"}, {"name": www}, mail]
    target = Target(settings={"dns.records": declared_records})
    Zone.records_of = {
        ("example.org", "A"): ["16.52.210.100"],
        (www, "A"): ["16.52.210.100"],
        ("example.org", "MX"): ["1 smtp.google.com."],
    }
    assert wrong(session.names(target.context())) == {}
    Zone.records_of[(www, "A")] = ["203.0.113.1"]
    Zone.records_of[("example.org", "MX")] = []
    Zone.records_of[("example.org", "A")] = TransportError("no name server answers", "timeout")
    assert wrong(session.names(target.context())) == {
        "dns.A.example.org": (Status.UNKNOWN, "no name server answers: timeout"),
        f"dns.A.{www}": (Status.FAIL, "203.0.113.1"),
        "dns.MX.example.org": (Status.FAIL, "none"),
    }


def test_without_declared_records_the_certificate_s_names_are_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names, "Names", Zone)
    Zone.records_of = {}
    plain = Target(settings={"dns.records": []})
    assert set(wrong(session.names(plain.context()))) == {
        "dns.A.automatonicai.com",
        "dns.A.www.automatonicai.com",
    }
    bare = Target(settings={"dns.records": [], "hardening.certificate": None})
    assert found(session.names(bare.context()))["dns"].status is Status.NOT_APPLICABLE


def test_the_linter_s_rules_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "parameters_dir", lambda: tmp_path)
    target = Target(settings={"drill.reap_after_hours": 0})
    seen = wrong(session.declared(target.context()))
    assert seen["parameters"][0] is Status.UNKNOWN  # no file
    (tmp_path / "production.yaml").write_text("target: production\n")
    assert list(wrong(session.declared(target.context()))) == ["lint.drill.reaping"]
