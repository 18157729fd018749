"""Amazon's CloudWatch agent as the sender of vitals, where the parameters choose it (M2).

Written after the agent's documentation and its published schema; the agent itself was never run
here: its package comes from Amazon's bucket alone. Same names and the same one dimension as the
publisher's, so that the alarms are the same. Memory stays with the publisher: the agent knows no
100 - available, and takes PostgreSQL's shared memory for cache. So does all of the database.
"""

import json
from typing import Any

from chronos_ops.facts import iam, packages
from chronos_ops.facts.files import FileState, states
from chronos_ops.facts.publisher import key_file
from chronos_ops.facts.systemd import Unit, units
from chronos_ops.model.metrics import BY_NAME, DIMENSION
from chronos_ops.model.plan import Change, Plan, RunCommand
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.alarms import metrics
from chronos_ops.plans.managed_file import file_change
from chronos_ops.plans.publisher import AGENT_METRICS, CA, PROFILE, credentials_change

PACKAGE = "amazon-cloudwatch-agent"
UNIT = f"{PACKAGE}.service"
_HOME = f"/opt/aws/{PACKAGE}"
CONFIG = f"{_HOME}/etc/chronos.json"
COMMON = f"{_HOME}/etc/common-config.toml"
CREDENTIALS = "/etc/chronos-ops/agent-credentials"
USER = "cwagent"  # the package makes it
_CONTROL = f"{_HOME}/bin/{PACKAGE}-ctl"
_HINT = (
    f"the package {PACKAGE} is not installed, and Debian has none: "
    "download https://amazoncloudwatch-agent.s3.amazonaws.com/debian/amd64/latest/"
    f"{PACKAGE}.deb and its .sig on a machine that may, verify it with Amazon's key (CloudWatch "
    "User Guide, `Verifying the signature of the CloudWatch agent package`), and `sudo dpkg -i` it "
    "on the host; or set monitoring.sender: publisher. This path was never run by chronos-ops' "
    "own tests"
)
# Name of the publisher's metric: the agent's plugin and measurement.
_MEASURED = {
    "disk_used_percent": ("disk", "used_percent"),
    "cpu_used_percent": ("cpu", "usage_active"),
}


def config(settings: Settings) -> dict[str, Any]:
    """The agent's JSON: `aggregation_dimensions` leave one dimension, the originals are dropped."""
    monitoring = settings.monitoring
    section: dict[str, Any] = {
        "namespace": monitoring.namespace,
        "aggregation_dimensions": [[DIMENSION]],
        "metrics_collected": {
            _MEASURED[name][0]: _plugin(settings, name)
            for name in metrics(settings)
            if name in AGENT_METRICS
        },
    }
    if monitoring.host_endpoint_url:
        section["endpoint_override"] = monitoring.host_endpoint_url
    return {
        "agent": {
            "metrics_collection_interval": monitoring.publish_seconds,
            "region": settings.aws.region,
            "run_as_user": USER,
            "omit_hostname": True,
            "usage_data": False,
        },
        "metrics": section,
    }


def _plugin(settings: Settings, name: str) -> dict[str, Any]:
    plugin, measurement = _MEASURED[name]
    found: dict[str, Any] = {
        "measurement": [{"name": measurement, "rename": name, "unit": BY_NAME[name].unit}],
        "append_dimensions": {DIMENSION: settings.host.instance},
        # Each would be a paid metric beside the aggregated one (named before and after `rename`).
        "drop_original_metrics": sorted({f"{plugin}_{measurement}", name}),
    }
    if plugin == "disk":
        return found | {"resources": ["/"], "drop_device": True}
    return found | {"totalcpu": True}


def common_config(settings: Settings) -> str:
    """Which profile of which file: never the instance's metadata (P1)."""
    lines = [
        "# Written by chronos-ops (runbook cloudwatch_monitoring): do not edit.",
        "[credentials]",
        f'  shared_credential_profile = "{PROFILE}"',
        f'  shared_credential_file = "{CREDENTIALS}"',
    ]
    if settings.monitoring.host_ca_file:
        lines += ["[ssl]", f'  ca_bundle_path = "{CA}"']
    return "\n".join(lines) + "\n"


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """Nothing where the publisher sends all."""
    if settings.monitoring.sender == "publisher":
        return {}
    return {
        "installed": packages.INSTALLED,
        "files": states(CONFIG, COMMON, name="agent_files"),
        "units": units(UNIT),
        "key_file": key_file(CREDENTIALS),
        "keys": iam.access_keys(settings.monitoring.host_iam_user),
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Its files and its start; refused while its package is not there."""
    name = "cloudwatch-agent"
    if settings.monitoring.sender == "publisher":
        return Plan(name=name, noop_reason="monitoring.sender is publisher: it sends the vitals")
    if PACKAGE not in values["installed"]:
        return Plan(name=name, refusals=(_HINT,))
    if not any(metric in AGENT_METRICS for metric in metrics(settings)):
        return Plan(name=name, noop_reason="monitoring.metrics names none that the agent sends")
    former: dict[str, FileState | None] = values["files"]
    text = json.dumps(config(settings), indent=1, sort_keys=True) + "\n"
    why = "the vitals by Amazon's agent, with the names and the dimension of the alarms (M2)"
    changes = [
        credentials_change(settings, values["key_file"], values["keys"], CREDENTIALS, USER),
        file_change(
            "agent.common", f"write {COMMON}", why, COMMON, common_config(settings), former
        ),
        file_change("agent.config", f"write {CONFIG}", why, CONFIG, text, former),
    ]
    changes.append(_start(values["units"].get(UNIT), changed=any(changes)))
    done = tuple(change for change in changes if change is not None)
    return Plan(name=name, changes=done, noop_reason="" if done else f"{UNIT} runs as declared")


def _start(unit: Unit | None, *, changed: bool) -> Change | None:
    if unit is not None and (unit.active, unit.enabled) == ("active", "enabled") and not changed:
        return None
    control = (_CONTROL, "-a", "fetch-config", "-m", "onPremise", "-s", "-c", f"file:{CONFIG}")
    return Change(
        id="agent.start",
        title="let the agent take its configuration over (onPremise) and start",
        why="a Lightsail instance is no EC2 instance to the agent",
        deeds=(RunCommand(argv=control), RunCommand(argv=("systemctl", "enable", "--quiet", UNIT))),
        undo=(RunCommand(argv=("systemctl", "disable", "--now", UNIT)),),
        before=f"{unit.enabled or 'absent'}, {unit.active}" if unit else "absent",
        after="enabled, active",
    )


CLOUDWATCH_AGENT = Stage("cloudwatch-agent", facts, plan)
