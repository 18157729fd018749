"""Who hears: deleted, pending and filtered subscriptions are nobody (M3; failures.md 22)."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from chronos_ops.execution.context import Context
from chronos_ops.facts import cloudwatch, sns
from chronos_ops.facts.sns import Queue, Subscription, Topic
from chronos_ops.monitoring.channels import channels
from chronos_ops.plans import topic
from tests.monitoring.standing import deployed, settings

ADDRESS = "Ops@Example.com"
TARGET = settings({"monitoring.email": ADDRESS})
QUEUE = ("arn:queue", "sqs", topic.queue_arn(TARGET))
OPEN = Queue(topic.queue_arn(TARGET), topic.queue_policy(TARGET))
MAIL = ("arn:mail", topic.EMAIL, ADDRESS)


def bad(
    *listed: tuple[str, str, str],
    filters: dict[str, str] | None = None,
    queue: Queue | None = OPEN,
) -> dict[str, str]:
    """The findings that are not good, with what was seen."""
    answer = {
        "Subscriptions": [
            {"SubscriptionArn": arn, "Protocol": protocol, "Endpoint": endpoint}
            for arn, protocol, endpoint in listed
        ]
    }
    arn = topic.topic_arn(TARGET)
    values: dict[str, Any] = {
        sns.topic(arn).name: Topic(topic.topic_policy(TARGET), ""),
        sns.subscriptions(arn).name: sns.subscriptions(arn).parse(answer),
        sns.queue("").name: queue,
        cloudwatch.alarms("").name: deployed(TARGET),
    }

    def call(_service: str, operation: str, **said: Any) -> dict[str, Any]:
        assert operation == "get_subscription_attributes"
        found = {"ConfirmationWasAuthenticated": "true", "RawMessageDelivery": "false"}
        text = (filters or {}).get(said["SubscriptionArn"])
        return {"Attributes": found if text is None else found | {"FilterPolicy": text}}

    context = SimpleNamespace(
        settings=TARGET,
        ask=lambda fact: values.get(fact.name, ()),
        aws=SimpleNamespace(call=call),
    )
    return {f.id: f.observed for f in channels(cast("Context", context)).findings if not f.good}


def test_confirmed_and_unfiltered_are_heard() -> None:
    assert bad(QUEUE, MAIL) == {}
    assert bad(QUEUE, MAIL, filters={"arn:mail": "{}", "arn:queue": ""}) == {}


def test_the_case_of_an_address_is_no_difference_and_a_pending_double_none() -> None:
    lower = ("arn:mail", topic.EMAIL, ADDRESS.lower())
    pending = ("PendingConfirmation", topic.EMAIL, ADDRESS)
    assert bad(QUEUE, pending, lower) == {}
    assert list(bad(QUEUE, pending)) == ["monitoring.email"]
    known = [Subscription("arn", topic.EMAIL, ADDRESS.lower())]
    values = {"topic": None, "queue": None, "subscriptions": known}
    made = [change.id for change in topic.plan(TARGET, values).changes]
    assert f"sns.subscription.{topic.EMAIL}" not in made


def test_a_deleted_one_that_is_still_listed_is_lost_and_asked_for_again() -> None:
    """AWS lists it for some days, `Deleted` in the place of its ARN."""
    seen = bad(QUEUE, ("Deleted", *MAIL[1:]))
    assert "not subscribed, or unsubscribed" in seen["monitoring.email"]
    answer = {"Subscriptions": [
        {"SubscriptionArn": "Deleted", "Protocol": topic.EMAIL, "Endpoint": ADDRESS}
    ]}  # fmt: skip
    assert sns.subscriptions("arn").parse(answer) == []


@pytest.mark.parametrize(("arn", "finding"), [("arn:mail", "email"), ("arn:queue", "queue")])
def test_a_filter_silences_a_channel(arn: str, finding: str) -> None:
    seen = bad(QUEUE, MAIL, filters={arn: '{"severity": ["high"]}'})
    assert list(seen) == [f"monitoring.{finding}"]
    assert "severity" in seen[f"monitoring.{finding}"]


@pytest.mark.parametrize(
    ("queue", "said"), [(None, "no such queue"), (Queue(OPEN.arn, {}), "policy is another")]
)
def test_a_queue_that_is_gone_or_closed_stays_subscribed(queue: Queue | None, said: str) -> None:
    """SNS keeps the subscription of a queue that nobody can fill."""
    seen = bad(QUEUE, MAIL, queue=queue)
    assert list(seen) == ["monitoring.queue"]
    assert said in seen["monitoring.queue"]
