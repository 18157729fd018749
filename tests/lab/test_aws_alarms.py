"""The lab's alarms say what CloudWatch would: by time, by exact dimensions, M out of N."""

import json
import time
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.settings import load_settings

PERIOD = 10
SPACE = "AlarmsUnderTest"
HOST = {"host": "db"}


@pytest.fixture(scope="module")
def aws(lab: LabStatus) -> Aws:
    return Aws(load_settings(lab.name).aws)


def dimensions(given: dict[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in given.items()]


def publish(aws: Aws, metric: str, values: str) -> None:
    """One value for each of the last periods, the newest last: X is 90, 0 is 10, - is none."""
    newest = time.time() // PERIOD
    data = [
        {
            "MetricName": metric,
            "Dimensions": dimensions(HOST),
            "Timestamp": (newest - back) * PERIOD + 1,
            "Value": 90 if letter == "X" else 10,
        }
        for back, letter in zip(range(len(values), 0, -1), values, strict=True)
        if letter != "-"
    ]
    aws.call("cloudwatch", "put_metric_data", Namespace=SPACE, MetricData=data)


def alarm(aws: Aws, name: str, metric: str, **changes: Any) -> None:
    given: dict[str, Any] = {
        "Namespace": SPACE,
        "MetricName": metric,
        "Dimensions": dimensions(HOST),
        "Statistic": "Average",
        "Period": PERIOD,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 80,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "breaching",
    }
    aws.call("cloudwatch", "put_metric_alarm", AlarmName=name, **(given | changes))


def state(aws: Aws, name: str) -> tuple[str, str]:
    found = aws.call("cloudwatch", "describe_alarms", AlarmNames=[name])["MetricAlarms"][0]
    return found["StateValue"], found["StateReason"]


def settled(aws: Aws, name: str) -> tuple[str, str]:
    """Its state once the lab has judged it."""
    deadline = time.monotonic() + 15
    while "evaluator: lab" not in (said := state(aws, name))[1]:
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    return said


@pytest.mark.parametrize(("values", "wanted"), [("0X0X", "ALARM"), ("X00X", "OK")])
def test_two_of_three(aws: Aws, values: str, wanted: str) -> None:
    metric = f"disk-{values}"
    publish(aws, metric, values)
    alarm(aws, metric, metric)
    said, reason = settled(aws, metric)
    assert said == wanted, reason


def test_another_dimension_is_no_data(aws: Aws) -> None:
    """failures.md 23, and 21: only `breaching` tells."""
    publish(aws, "memory", "0000")
    wrong = dimensions({"host": "db", "path": "/"})
    alarm(aws, "wrong-breaching", "memory", Dimensions=wrong)
    alarm(aws, "wrong-missing", "memory", Dimensions=wrong, TreatMissingData="missing")
    said, reason = settled(aws, "wrong-breaching")
    assert said == "ALARM"
    assert "missing, missing, missing" in reason
    assert state(aws, "wrong-missing")[0] == "INSUFFICIENT_DATA"


def test_an_alarm_tells_its_topic(aws: Aws) -> None:
    topic = aws.call("sns", "create_topic", Name="alarms-under-test")["TopicArn"]
    queue = aws.call("sqs", "create_queue", QueueName="alarms-under-test")["QueueUrl"]
    arn = aws.call("sqs", "get_queue_attributes", QueueUrl=queue, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
    attributes = {"Policy": json.dumps(policy)}
    aws.call("sqs", "set_queue_attributes", QueueUrl=queue, Attributes=attributes)
    aws.call("sns", "subscribe", TopicArn=topic, Protocol="sqs", Endpoint=arn)
    publish(aws, "told", "XXXX")
    alarm(aws, "told", "told", AlarmActions=[topic])
    answer = aws.call("sqs", "receive_message", QueueUrl=queue, WaitTimeSeconds=15)
    told = json.loads(json.loads(answer["Messages"][0]["Body"])["Message"])
    assert (told["AlarmName"], told["NewStateValue"]) == ("told", "ALARM")


@pytest.mark.parametrize(
    ("what", "attribute", "value", "error"),
    [
        ("the managed key", "KmsMasterKeyId", "alias/aws/sns", "encryption key"),
        ("a policy without it", "Policy", '{"Version": "2012-10-17", "Statement": []}', "not auth"),
    ],
)
def test_a_topic_that_does_not_admit_cloudwatch_is_seen_in_the_history(
    aws: Aws, what: str, attribute: str, value: str, error: str
) -> None:
    """M3: the alarm fires into nothing, and only its history tells."""
    name = f"mute-{attribute}".lower()
    topic = aws.call("sns", "create_topic", Name=name)["TopicArn"]
    given = {"TopicArn": topic, "AttributeName": attribute, "AttributeValue": value}
    aws.call("sns", "set_topic_attributes", **given)
    publish(aws, name, "XXXX")
    alarm(aws, name, name, AlarmActions=[topic])
    assert settled(aws, name)[0] == "ALARM"
    told = aws.call(
        "cloudwatch", "describe_alarm_history", AlarmName=name, HistoryItemType="Action"
    )["AlarmHistoryItems"]
    assert [item["HistorySummary"].startswith("Failed to execute action") for item in told] == [
        True
    ], what
    assert error in told[0]["HistorySummary"]
