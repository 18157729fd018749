"""The policies of scheduled drills: as small as their quota, nothing but what is named (P1)."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from chronos_ops.cli import app
from chronos_ops.connectors.aws import Aws
from chronos_ops.model import settings as model_settings
from chronos_ops.model.errors import UsageError
from chronos_ops.model.settings import Settings, parse_settings
from chronos_ops.plans.drill_rights import SIZE_LIMIT, boundary_document, identity_document
from tests.recorded_cases import RECORDED

EXAMPLE = Path(__file__).parents[2] / "parameters" / "production.example.yaml"
BOUNDARY = "arn:aws:iam::123456789012:policy/chronos-drill-boundary"
DECLARED = "arn:aws:lightsail:ca-central-1:123456789012:Instance/7f6fa9a4"
UNTOUCHABLE = [DECLARED, DECLARED.replace("7f6f", "0000")]
ARCHIVE = {"bucket": "project-chronos-evidence"}


def settings(archive: dict[str, Any] | None = None, **drill: Any) -> Settings:
    data = yaml.safe_load(EXAMPLE.read_text())
    data["drill"] = {"permissions_boundary": BOUNDARY, **drill}
    data["archive"] = archive
    data["host"]["known_hosts_file"] = "~/.ssh/known_hosts"
    return parse_settings(data)


def statements(document: dict[str, Any], action: str) -> list[dict[str, Any]]:
    return [s for s in document["Statement"] if action in s["Action"]]


def test_both_fit_into_a_managed_policy_and_grant_no_wildcard_of_actions() -> None:
    target = settings(ARCHIVE)
    for document in (identity_document(target, UNTOUCHABLE), boundary_document(target)):
        assert len(json.dumps(document, separators=(",", ":"))) < SIZE_LIMIT
        actions = [a for s in document["Statement"] for a in s["Action"]]
        assert not [a for a in actions if "*" in a]


def test_without_a_boundary_there_is_no_policy() -> None:
    with pytest.raises(UsageError, match="chronos policy boundary"):
        identity_document(settings(permissions_boundary=None), UNTOUCHABLE)


def test_what_is_not_told_apart_by_name_is_told_apart_by_tag() -> None:
    document = identity_document(settings(), UNTOUCHABLE)
    (strike, never) = statements(document, "lightsail:DeleteInstance")
    assert strike["Condition"]["Null"] == {"aws:ResourceTag/chronos:run": "false"}
    assert strike["Condition"]["StringEquals"] == {"aws:ResourceTag/chronos:target": "production"}
    assert (never["Effect"], never["Resource"]) == ("Deny", UNTOUCHABLE)
    (make,) = statements(document, "lightsail:CreateInstances")
    assert make["Condition"]["Null"] == {"aws:RequestTag/chronos:run": "false"}
    unbounded = [
        action
        for s in document["Statement"]
        for action in s["Action"]
        if s["Resource"] == "*" and "Condition" not in s
    ]
    writing = [a for a in unbounded if not a.split(":")[1].startswith(("Get", "Describe"))]
    assert writing == ["lightsail:DeleteKeyPair", "lightsail:ImportKeyPair"]


def test_a_snapshot_is_a_source_only_where_it_is_declared() -> None:
    for name, asked in ((None, "CreateInstances"), ("golden", "CreateInstancesFromSnapshot")):
        document = identity_document(settings(from_snapshot=name), UNTOUCHABLE)
        actions = {a for s in document["Statement"] for a in s["Action"]}
        assert {a for a in actions if a.startswith("lightsail:Create")} == {f"lightsail:{asked}"}


def test_a_scheduler_gets_no_login_to_the_declared_host_with_its_keys() -> None:
    target = settings()
    host = target.host.model_copy(update={"known_hosts_file": None})
    with pytest.raises(UsageError, match="keys are not pinned"):
        identity_document(target.model_copy(update={"host": host}), UNTOUCHABLE)


def test_a_boundary_of_somebody_else_limits_nothing() -> None:
    foreign = settings(permissions_boundary=BOUNDARY.replace("123456789012", "210987654321"))
    with pytest.raises(UsageError, match="of another account"):
        identity_document(foreign, UNTOUCHABLE)
    with pytest.raises(UsageError, match="permissions_boundary"):
        settings(permissions_boundary="arn:aws:iam::aws:policy/AdministratorAccess")


def test_the_command_prints_what_iam_takes_and_refuses_before_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "production.yaml").write_text(EXAMPLE.read_text())
    monkeypatch.setattr(model_settings, "parameters_dir", lambda: tmp_path)
    monkeypatch.setattr(Aws, "call", lambda *_a, **_k: pytest.fail("AWS was asked"))
    said = CliRunner().invoke(app, ["policy", "boundary", "--target", "production"])
    assert json.loads(said.output) == boundary_document(settings())
    refused = CliRunner().invoke(app, ["policy", "identity", "--target", "production"])
    assert isinstance(refused.exception, UsageError)
    assert "boundary" in refused.exception.hint


def test_the_command_protects_every_instance_that_no_run_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = yaml.safe_load(EXAMPLE.read_text())
    data["drill"] = {"permissions_boundary": BOUNDARY}
    data["host"]["known_hosts_file"] = "~/.ssh/known_hosts"
    (tmp_path / "production.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.setattr(model_settings, "parameters_dir", lambda: tmp_path)
    answer = json.loads((RECORDED / "lightsail_ipv6" / "debian-13.json").read_text())["answer"]
    one = answer["instance"]
    run = {**one, "name": "a-run-s", "arn": "x", "tags": [{"key": "chronos:run", "value": "1"}]}
    other = {**one, "name": "staging", "arn": f"{one['arn']}-other"}
    monkeypatch.setattr(Aws, "ask", lambda *_a: {"instances": [one, run, other]})
    said = CliRunner().invoke(app, ["policy", "identity", "--target", "production"])
    wanted = identity_document(parse_settings(data), [one["arn"], other["arn"]])
    assert json.loads(said.output) == wanted
    monkeypatch.setattr(Aws, "ask", lambda *_a: {"instances": [other]})
    refused = CliRunner().invoke(app, ["policy", "identity", "--target", "production"])
    assert isinstance(refused.exception, UsageError)
    assert "no such instance" in refused.exception.noun
