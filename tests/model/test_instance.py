"""What is asked of Lightsail for a drill host."""

import base64

import pytest

from chronos_ops.model.errors import UsageError
from chronos_ops.model.instance import InstanceRequest, key_pair_name, request_instance
from chronos_ops.model.settings import Settings, parse_settings

KEY = "ssh-rsa " + base64.b64encode(b"\0\0\0\x07ssh-rsa" + b"\1" * 20).decode()


def _settings(**drill: str) -> Settings:
    return parse_settings(
        {
            "target": "t",
            "aws": {"account_id": "123456789012", "profile": "op"},
            "host": {"instance": "db", "address": "203.0.113.1", "key_file": "k"},
            "postgres": {"operator_networks": ["198.51.100.0/24", "2001:db8::/32"], "port": 5433},
            "backup": {"bucket": "b"},
            "drill": drill,
        }
    )


def _request(**drill: str) -> InstanceRequest:
    return request_instance(_settings(**drill), "drill-1", "run:42", KEY, "echo")


def test_the_instance_carries_its_run_and_target() -> None:
    operation, arguments = _request().create()
    assert operation == "create_instances"
    assert arguments["tags"] == [
        {"key": "chronos:run", "value": "run:42"},
        {"key": "chronos:target", "value": "t"},
    ]
    assert arguments["instanceNames"] == ["drill-1"]
    assert arguments["bundleId"] == "small_3_0"
    assert arguments["userData"] == "echo"
    assert arguments["keyPairName"] == key_pair_name("drill-1", "run:42")


def test_a_key_pair_s_name_holds_what_lightsail_allows() -> None:
    assert key_pair_name("drill.1", "run:42/x") == "chronos-run-42-x-drill-1"


def test_the_firewall_admits_the_operators_alone() -> None:
    ports = _request().close_firewall()["portInfos"]
    assert [(p["fromPort"], p["toPort"]) for p in ports] == [(22, 22), (5433, 5433)]
    for port in ports:
        assert port["cidrs"] == ["198.51.100.0/24"]
        assert port["ipv6Cidrs"] == ["2001:db8::/32"]


def test_a_snapshot_takes_the_blueprint_s_place() -> None:
    operation, arguments = _request(from_snapshot="warm").create()
    assert operation == "create_instances_from_snapshot"
    assert arguments["instanceSnapshotName"] == "warm"
    assert "blueprintId" not in arguments


@pytest.mark.parametrize("key", ["ssh-ed25519 AAAA", "", "ssh-rsa", "ssh-rsa !!!", "ssh-rsa QUFB"])
def test_keys_that_lightsail_does_not_import_are_refused(key: str) -> None:
    with pytest.raises(UsageError, match="ssh-rsa type only"):
        request_instance(_settings(), "drill-1", "r", key)


@pytest.mark.parametrize(("name", "run_id"), [("-x", "r"), ("a b", "r"), ("", "r"), ("ok-1", "")])
def test_a_bad_name_or_no_run_is_refused(name: str, run_id: str) -> None:
    with pytest.raises(UsageError):
        request_instance(_settings(), name, run_id, KEY)
