"""The publisher as planned: once, then nothing; every thing that another hand changed is mended."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops.facts.files import FileState
from chronos_ops.facts.iam import AccessKey
from chronos_ops.facts.postgres import Cluster
from chronos_ops.facts.publisher import KeyFile
from chronos_ops.facts.systemd import Unit
from chronos_ops.model.metrics import BY_NAME, DEFAULT
from chronos_ops.model.plan import Plan, WriteFile
from chronos_ops.model.settings import Settings, parse_settings
from chronos_ops.plans import publisher
from chronos_ops.plans.publisher import plan, plan_packages, policy_document, sent, slow_seconds

EXAMPLE = Path(__file__).parents[2] / "parameters" / "production.example.yaml"


def settings(**monitoring: Any) -> Settings:
    data = yaml.safe_load(EXAMPLE.read_text())
    data["monitoring"] = monitoring
    return parse_settings(data)


def bare(target: Settings) -> dict[str, Any]:
    """What is asked of a host that has nothing yet."""
    wanted = target.postgres
    cluster = Cluster("17", wanted.cluster, wanted.port, "online", "/data", "/log")
    names = (publisher.SERVICE, publisher.COLLECTOR, publisher.SLOW, publisher.TIMER)
    return {
        "clusters": [cluster],
        "files": dict.fromkeys(publisher._paths()),
        "units": {n: Unit(n, "not-found", "inactive", "dead", "", "success") for n in names},
        "user": False,
        "key_file": None,
        "keys": [AccessKey("AKIA1", active=True)],
    }


def applied(target: Settings) -> dict[str, Any]:
    """What is asked after the plan was carried out."""
    values = bare(target)
    written = {
        deed.path: FileState(deed.content, deed.mode, deed.owner, deed.group)
        for change in plan(target, values).changes
        for deed in change.deeds
        if isinstance(deed, WriteFile)
    }
    files = {path: written.get(path) for path in values["files"]}
    timer = Unit(publisher.TIMER, "loaded", "active", "waiting", "enabled", "success")
    key = KeyFile(publisher.USER, "0600", "AKIA1")
    units = {**values["units"], publisher.TIMER: timer}
    return {**values, "files": files, "units": units, "user": True, "key_file": key}


def ids(found: Plan) -> list[str]:
    return [change.id for change in found.changes]


def test_once_and_then_nothing() -> None:
    target = settings()
    first = plan(target, bare(target))
    assert ids(first)[0] == "publisher.user"
    assert ids(first)[-2:] == ["metrics.credentials", "publisher.timer"]
    assert all(change.undo for change in first.changes)
    second = plan(target, applied(target))
    assert second.empty, ids(second)
    assert second.noop_reason == "the publisher runs every 60 s"


@pytest.mark.parametrize(
    "key_file",
    [
        None,
        KeyFile("root", "0600", "AKIA1"),
        KeyFile(publisher.USER, "0640", "AKIA1"),
        KeyFile(publisher.USER, "0600", "AKIA2"),  # not active
        KeyFile(publisher.USER, "0600", "AKIA9"),  # nobody knows it
        KeyFile(publisher.USER, "0600", "-"),
    ],
)
def test_a_key_file_that_is_not_right_is_written_again(key_file: KeyFile | None) -> None:
    target = settings()
    keys = [AccessKey("AKIA1", active=True), AccessKey("AKIA2", active=False)]
    found = plan(target, {**applied(target), "key_file": key_file, "keys": keys})
    (change,) = found.changes
    (deed,) = change.deeds
    assert isinstance(deed, WriteFile)
    assert (deed.owner, deed.mode) == (publisher.USER, "0600")
    secret = target.monitoring.host_key_secret
    assert f"aws_secret_access_key = @{{secret:{secret}/secret}}" in deed.content
    assert "AKIA" not in deed.content  # a name of the secret, never the secret


def test_what_another_hand_changed_is_put_back() -> None:
    target = settings()
    values = applied(target)
    files = values["files"]
    text = files[publisher.PROGRAM]
    changed = {**values, "files": {**files, publisher.PROGRAM: replace(text, text="exit 0\n")}}
    assert ids(plan(target, changed)) == ["publisher.metrics-publish"]
    loose = {**values, "files": {**files, publisher.PROGRAM: replace(text, mode="0777")}}
    assert ids(plan(target, loose)) == ["publisher.metrics-publish"]
    for state in ("disabled", ""):
        off = replace(values["units"][publisher.TIMER], enabled=state, active="inactive")
        units = {**values["units"], publisher.TIMER: off}
        assert ids(plan(target, {**values, "units": units})) == ["publisher.timer"]
    assert ids(plan(target, {**values, "user": False})) == ["publisher.user"]


def test_another_pace_writes_what_depends_on_it_and_restarts_the_timer() -> None:
    found = plan(settings(publish_seconds=300), applied(settings()))
    assert ids(found) == [
        "publisher.metrics-collect",
        "publisher.metrics.json",
        "publisher.chronos-metrics.timer",
        "publisher.timer",
    ]


def test_no_cluster_no_publisher() -> None:
    found = plan(settings(), {**bare(settings()), "clusters": []})
    assert found.empty
    assert "no cluster" in found.refusals[0]


@pytest.mark.parametrize(
    ("publish", "period", "calendar", "slow", "resolution"),
    [
        (60, 300, "*:0/1:00", 240, 60),
        (60, 60, "*:0/1:00", 59, 60),
        (10, 10, "*:*:0/10", 9, 1),
        (30, 30, "*:*:0/30", 29, 1),
        (300, 300, "*:0/5:00", 299, 60),
        (3600, 3600, "*:00:00", 3599, 60),
    ],
)
def test_pace(publish: int, period: int, calendar: str, slow: int, resolution: int) -> None:
    """systemd takes it, both tries of a call fit into a tick, repositories are asked seldom."""
    target = settings(publish_seconds=publish, period_seconds=period)
    assert publisher.calendar(publish) == calendar
    assert slow_seconds(target) == slow
    made = publisher.config(target)
    assert made["resolution_seconds"] == resolution
    assert 2 * (made["connect_seconds"]) + made["read_seconds"] < publish
    assert made["slow_stale_seconds"] > slow + publish


@pytest.mark.parametrize("publish", [5, 10, 30, 60, 300, 1800, 3600])
def test_systemd_understands_the_calendar(publish: int) -> None:
    seconds = _elapses(publisher.calendar(publish))
    assert seconds == publish


def _elapses(calendar: str) -> int:
    """Between the next two elapses, as systemd itself counts."""
    argv = ["systemd-analyze", "calendar", "--iterations=2", calendar]
    try:
        said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout
    except FileNotFoundError:
        pytest.skip("no systemd-analyze here")
    moments = [line for line in said.splitlines() if "Next elapse" in line or "Iter" in line]
    times = [line.split()[-2] for line in moments]
    first, second = (
        sum(int(part) * unit for part, unit in zip(t.split(":"), (3600, 60, 1), strict=True))
        for t in times
    )
    return (second - first) % 86400


def test_the_policy_puts_into_one_namespace_and_nothing_else() -> None:
    (statement,) = policy_document(settings(namespace="Mine").monitoring)["Statement"]
    assert statement["Action"] == "cloudwatch:PutMetricData"
    assert statement["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Mine"}}


def test_what_it_reads_holds_no_secret_and_the_alarms_dimension() -> None:
    target = settings()
    made = publisher.config(target)
    assert made["dimension"] == ["Host", target.host.instance]
    assert made["units"].keys() == set(made["metrics"])
    assert set(made["metrics"]) <= set(DEFAULT)
    assert "secret" not in json.dumps(made)


def test_cloudwatchs_limits_hold_for_every_name() -> None:
    units = {"Percent", "Count", "Seconds", "Bytes", "None"}  # of its StandardUnit
    for metric in BY_NAME.values():
        assert 1 <= len(metric.name) <= 255
        assert metric.name.isascii()
        assert not metric.name.startswith(":")
        assert metric.unit in units


def test_the_agents_vitals_are_not_sent_twice() -> None:
    target = settings(sender="cloudwatch_agent")
    gone = set(sent(settings())) - set(sent(target))
    assert gone == {"disk_used_percent", "cpu_used_percent"}
    assert "memory_used_percent" in sent(target)
    assert "heartbeat" in sent(target)


def test_packages_are_installed_once() -> None:
    assert ids(plan_packages(settings(), {"installed": {}})) == ["metrics.packages"]
    there = dict.fromkeys(publisher.NEEDED, "1")
    assert plan_packages(settings(), {"installed": there}).empty
