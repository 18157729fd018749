"""A context that answers from recorded values, and deployed alarms, for the monitoring's tests."""

from pathlib import Path
from typing import Any

import yaml

from chronos_ops.facts.cloudwatch import Deployed
from chronos_ops.model.settings import Settings, parse_settings
from chronos_ops.plans import alarms, topic

EXAMPLE = Path(__file__).parents[2] / "parameters" / "production.example.yaml"


def settings(changes: dict[str, Any] | None = None) -> Settings:
    """The example target; `changes` by dotted place."""
    data = yaml.safe_load(EXAMPLE.read_text())
    for place, value in (changes or {}).items():
        *path, last = place.split(".")
        node = data
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return parse_settings(data)


def deployed(target: Settings, state: str = "OK") -> dict[str, Deployed]:
    """Every declared alarm, as it is once it was applied."""
    told = (topic.topic_arn(target),)
    return {
        name: Deployed(
            name=name,
            arn=f"arn:{name}",
            alarm=wanted.alarm,
            description=wanted.description,
            state=state,
            reason="",
            enabled=True,
            actions={"ALARM": told, "OK": told, "INSUFFICIENT_DATA": ()},
        )
        for name, wanted in alarms.declared(target).items()
    }
