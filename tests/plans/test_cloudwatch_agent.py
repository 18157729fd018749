"""The agent's configuration after Amazon's documentation of it; the agent is not run here (M2)."""

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from chronos_ops.facts.files import FileState
from chronos_ops.facts.iam import AccessKey
from chronos_ops.facts.publisher import KeyFile
from chronos_ops.facts.systemd import Unit
from chronos_ops.model.plan import RunCommand
from chronos_ops.model.settings import Settings, parse_settings
from chronos_ops.plans import alarms
from chronos_ops.plans import cloudwatch_agent as agent
from chronos_ops.plans.publisher import config as publishers

EXAMPLE = Path(__file__).parents[2] / "parameters" / "production.example.yaml"
_TEXT = {"type": "string", "minLength": 1, "maxLength": 255}
# What the agent's documentation allows in the parts that are used here.
_PLUGIN: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["measurement"],
    "properties": {
        "measurement": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"name": _TEXT, "rename": _TEXT, "unit": _TEXT},
            },
        },
        "append_dimensions": {"type": "object", "additionalProperties": _TEXT},
        "drop_original_metrics": {"type": "array", "items": _TEXT, "minItems": 1},
    },
}


def _plugin(**more: Any) -> dict[str, Any]:
    return {**_PLUGIN, "properties": {**_PLUGIN["properties"], **more}}


DOCUMENTED: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "agent": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "metrics_collection_interval": {"type": "integer", "minimum": 1},
                "region": {"type": "string", "minLength": 1, "maxLength": 64},
                "run_as_user": _TEXT,
                "omit_hostname": {"type": "boolean"},
                "usage_data": {"type": "boolean"},
            },
        },
        "metrics": {
            "type": "object",
            "additionalProperties": False,
            "required": ["metrics_collected"],
            "properties": {
                "namespace": _TEXT,
                "endpoint_override": _TEXT,
                "aggregation_dimensions": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "array", "items": _TEXT, "uniqueItems": True},
                },
                "metrics_collected": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": False,
                    "properties": {
                        "cpu": _plugin(totalcpu={"type": "boolean"}),
                        "disk": _plugin(
                            resources={"type": "array", "items": _TEXT},
                            drop_device={"type": "boolean"},
                        ),
                    },
                },
            },
        },
    },
}


def settings(sender: str = "cloudwatch_agent", **monitoring: Any) -> Settings:
    data = yaml.safe_load(EXAMPLE.read_text())
    data["monitoring"] = {"sender": sender, **monitoring}
    return parse_settings(data)


def values(target: Settings, **changed: Any) -> dict[str, Any]:
    """An agent that runs as declared."""
    text = json.dumps(agent.config(target), indent=1, sort_keys=True) + "\n"
    common = agent.common_config(target)
    return {
        "installed": {agent.PACKAGE: "1.300"},
        "files": {
            agent.CONFIG: FileState(text, "0644", "root", "root"),
            agent.COMMON: FileState(common, "0644", "root", "root"),
        },
        "units": {
            agent.UNIT: Unit(agent.UNIT, "loaded", "active", "running", "enabled", "success")
        },
        "key_file": KeyFile(agent.USER, "0600", "AKIA1"),
        "keys": [AccessKey("AKIA1", active=True)],
        **changed,
    }


@pytest.mark.parametrize("given", [{}, {"host_endpoint_url": "https://aws.example:4566"}])
def test_it_is_what_the_documentation_describes(given: dict[str, Any]) -> None:
    jsonschema.Draft4Validator(DOCUMENTED).validate(agent.config(settings(**given)))


def test_both_senders_together_serve_every_alarm_with_its_one_dimension() -> None:
    target = settings()
    made = agent.config(target)["metrics"]
    assert made["aggregation_dimensions"] == [["Host"]]
    names = set(publishers(target)["metrics"])
    for plugin, section in made["metrics_collected"].items():
        (measurement,) = section["measurement"]
        assert measurement["rename"] not in names  # nobody sends it twice
        names.add(measurement["rename"])
        assert section["append_dimensions"] == alarms.dimensions(target)
        # The metric by CPU or path would be paid for beside the aggregated one.
        dropped = {f"{plugin}_{measurement['name']}", measurement["rename"]}
        assert set(section["drop_original_metrics"]) == dropped
    assert names == {declared.alarm.metric for declared in alarms.declared(target).values()}


def test_only_the_root_file_system_counts_and_the_whole_cpu() -> None:
    collected = agent.config(settings())["metrics"]["metrics_collected"]
    assert collected["disk"]["resources"] == ["/"]
    assert collected["cpu"]["totalcpu"] is True
    assert "mem" not in collected  # it knows no 100 - available


def test_the_publisher_alone_needs_no_agent() -> None:
    target = settings("publisher")
    assert agent.facts(target) == {}
    assert "sends the vitals" in agent.plan(target, {}).noop_reason


def test_without_its_package_it_is_refused_and_says_how_to_have_it() -> None:
    found = agent.plan(settings(), values(settings(), installed={}))
    assert found.empty
    (said,) = found.refusals
    for part in ("not installed", "dpkg -i", "monitoring.sender: publisher", "never run"):
        assert part in said


def test_once_and_then_nothing() -> None:
    target = settings()
    nothing = {
        "files": {agent.CONFIG: None, agent.COMMON: None},
        "units": {},
        "key_file": None,
    }
    first = agent.plan(target, values(target, **nothing))
    assert [c.id for c in first.changes] == [
        "agent.credentials",
        "agent.common",
        "agent.config",
        "agent.start",
    ]
    start = first.changes[-1].deeds[0]
    assert isinstance(start, RunCommand)
    assert start.argv[1:6] == ("-a", "fetch-config", "-m", "onPremise", "-s")
    assert agent.plan(target, values(target)).empty
