"""Alarms and who is told: as declared, only once metrics flow, and nothing else's touched."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops.facts import cloudwatch
from chronos_ops.facts.cloudwatch import Deployed, metric_key
from chronos_ops.facts.sns import Queue, Subscription, Topic
from chronos_ops.model.errors import UnfitTarget, UsageError
from chronos_ops.model.metrics import DEFAULT, METRICS
from chronos_ops.model.settings import Settings, parse_settings
from chronos_ops.plans import alarms, topic
from chronos_ops.plans.alarm_rules import BY_METRIC, longest_gap_hours

EXAMPLE = Path(__file__).parents[2] / "parameters" / "production.example.yaml"
CERTIFICATE = {"names": ["automatonicai.com"]}


def settings(**monitoring: Any) -> Settings:
    data = yaml.safe_load(EXAMPLE.read_text())
    data["monitoring"] = monitoring
    data.setdefault("hardening", {})["certificate"] = CERTIFICATE
    return parse_settings(data)


def flowing(target: Settings) -> set[Any]:
    return {metric_key(m, alarms.dimensions(target)) for m in alarms.metrics(target)}


def deployed(target: Settings) -> dict[str, Deployed]:
    told = (topic.topic_arn(target),)
    return {
        name: Deployed(
            name=name,
            arn=f"arn:{name}",
            alarm=wanted.alarm,
            description=wanted.description,
            state="OK",
            reason="",
            enabled=True,
            actions={"ALARM": told, "OK": told, "INSUFFICIENT_DATA": ()},
        )
        for name, wanted in alarms.declared(target).items()
    }


def plan(target: Settings, have: dict[str, Deployed]) -> list[str]:
    found = alarms.plan(target, {"deployed": have, "metrics": flowing(target)})
    return [change.id for change in found.changes]


def test_the_users_three_vitals() -> None:
    """M1: thresholds and periods as the user chose them, missing data breaching."""
    target = settings()
    by_metric = {d.alarm.metric: d.alarm for d in alarms.declared(target).values()}
    for metric, periods in (
        ("disk_used_percent", 2),
        ("cpu_used_percent", 3),
        ("memory_used_percent", 3),
    ):
        alarm = by_metric[metric]
        assert (alarm.threshold, alarm.comparison) == (80, "GreaterThanThreshold")
        assert (alarm.period_seconds, alarm.evaluation_periods) == (300, periods)
        assert alarm.datapoints_to_alarm == periods
    assert {alarm.treat_missing_data for alarm in by_metric.values()} == {"breaching"}


def test_ten_by_default_are_free_and_each_metric_has_a_rule() -> None:
    assert len(DEFAULT) == 10
    assert set(BY_METRIC) == {metric.name for metric in METRICS}
    target = settings(metrics=[metric.name for metric in METRICS])
    for wanted in alarms.declared(target).values():
        assert 40 < len(wanted.description) < 1024
        assert "What to do: " in wanted.description


def test_applied_twice_changes_nothing() -> None:
    target = settings()
    assert len(plan(target, {})) == 10
    assert plan(target, deployed(target)) == []


@pytest.mark.parametrize(
    "changes",
    [{"enabled": False}, {"description": "x"}, {"actions": {"ALARM": ()}}, {"alarm": None}],
)
def test_a_changed_alarm_is_mended(changes: dict[str, Any]) -> None:
    target = settings()
    have = deployed(target)
    name = f"{alarms.prefix(target)}heartbeat"
    full: dict[str, Any] = {"ALARM": (), "OK": (), "INSUFFICIENT_DATA": ()}
    if "actions" in changes:
        changes = {"actions": full}
    have[name] = replace(have[name], **changes)
    assert plan(target, have) == ["alarm.heartbeat"]


def test_what_is_not_declared_any_more_goes() -> None:
    target = settings(metrics=["heartbeat"])
    assert plan(target, deployed(settings(metrics=["heartbeat", "load_per_cpu"]))) == [
        "alarm.removed.load_per_cpu"
    ]


def test_an_alarm_waits_for_its_metric_with_the_same_dimensions() -> None:
    """failures.md 23."""
    target = settings(metrics=["heartbeat"])
    other = {metric_key("heartbeat", {"Host": "db", "path": "/"})}
    with pytest.raises(UnfitTarget, match="do not flow"):
        alarms.plan(target, {"deployed": {}, "metrics": other})


def test_backup_age_follows_the_calendars() -> None:
    assert longest_gap_hours("*-*-* 02:00:00 UTC", "*-*-* 00,01,03..23:00:00 UTC") == 1
    assert longest_gap_hours("*-*-* 02:00:00 UTC") == 24
    assert longest_gap_hours("Mon *-*~1 02:00") is None
    found = alarms.declared(settings())["chronos/project-chronos/backup_age_hours"].alarm
    assert found.threshold == 2.5


def test_thresholds_are_parameters_and_unknown_ones_are_refused() -> None:
    target = settings(thresholds={"cpu_used_percent": {"value": 95, "periods": 5, "datapoints": 4}})
    alarm = alarms.declared(target)["chronos/project-chronos/cpu_used_percent"].alarm
    assert (alarm.threshold, alarm.evaluation_periods, alarm.datapoints_to_alarm) == (95, 5, 4)
    refused: tuple[dict[str, Any], ...] = (
        {"metrics": ["cpu_usage"]},
        {"thresholds": {"cpu": {"value": 1}}},
        {"thresholds": {"disk_used_percent": {"value": 100}}},  # it would never fire
        {"budget": {"notify_percent": []}},
        {"topic_key": "alias/aws/sns"},
        {"namespace": "AWS/EC2"},
        {"period_seconds": 45},
        {"publish_seconds": 600},
    )
    for wrong in refused:
        with pytest.raises(UsageError):
            settings(**wrong)


def notified(target: Settings) -> dict[str, Any]:
    return {
        "topic": Topic(topic.topic_policy(target), ""),
        "queue": Queue(topic.queue_arn(target), topic.queue_policy(target)),
        "subscriptions": [
            Subscription("arn:1", "sqs", topic.queue_arn(target)),
            Subscription("", "email-json", "ops@example.com"),
        ],
    }


def test_the_topic_is_made_and_then_left_alone() -> None:
    target = settings(email="ops@example.com")
    empty: dict[str, Any] = {"topic": None, "queue": None, "subscriptions": []}
    made = [change.id for change in topic.plan(target, empty).changes]
    assert made == [
        "sns.topic",
        "sns.topic-policy",
        "sqs.queue",
        "sns.subscription.sqs",
        "sns.subscription.email-json",
    ]
    assert topic.plan(target, notified(target)).changes == ()


@pytest.mark.parametrize(
    ("what", "changes", "wanted"),
    [
        ("unsubscribed", {"subscriptions": []}, "sns.subscription.sqs"),
        ("another policy", {"topic": Topic({}, "")}, "sns.topic-policy"),
        ("queue closed", {"queue": Queue("arn", {})}, "sqs.queue"),
    ],
)
def test_what_was_lost_comes_back(what: str, changes: dict[str, Any], wanted: str) -> None:
    target = settings()
    found = [change.id for change in topic.plan(target, notified(target) | changes).changes]
    assert found == [wanted], what


def test_the_managed_key_that_silences_alarms_is_taken_away() -> None:
    target = settings()
    values = notified(target)
    values["topic"] = Topic(topic.topic_policy(target), "alias/aws/sns")
    change = topic.plan(target, values).changes[0]
    assert (change.id, change.before, change.after) == ("sns.topic-key", "alias/aws/sns", "")


def test_only_this_accounts_services_publish_and_only_over_tls() -> None:
    target = settings()
    statements = topic.topic_policy(target)["Statement"]
    allowed = {s["Principal"]["Service"]: s["Condition"] for s in statements[:2]}
    condition = {"StringEquals": {"aws:SourceAccount": target.aws.account_id}}
    assert allowed == {
        "cloudwatch.amazonaws.com": condition,
        "budgets.amazonaws.com": condition,
    }
    assert statements[2]["Effect"] == "Deny"


def test_an_alarm_that_sees_one_unit_only_is_none_of_ours() -> None:
    """DescribeAlarms gives a unit where one was named: other data points do not reach the alarm."""
    target = settings(metrics=["heartbeat"])
    (wanted,) = alarms.declared(target).values()
    item = alarms.arguments_of(wanted.alarm, "x", {"ALARM": (), "OK": (), "INSUFFICIENT_DATA": ()})
    item |= {"AlarmArn": "arn", "StateValue": "OK"}
    read = cloudwatch.alarms("chronos/").parse
    assert read({"MetricAlarms": [item]})[wanted.alarm.name].alarm == wanted.alarm
    assert read({"MetricAlarms": [item | {"Unit": "Bytes"}]})[wanted.alarm.name].alarm is None
