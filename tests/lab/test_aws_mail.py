"""SNS by e-mail in the lab: nothing comes before it was confirmed, and who may unsubscribe."""

import json
import urllib.error
import urllib.request
from ssl import create_default_context
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.inbox import Mail, messages
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.settings import Settings, load_settings
from tests.lab.waiting import until


@pytest.fixture(scope="module")
def settings(lab: LabStatus) -> Settings:
    return load_settings(lab.name)


@pytest.fixture(scope="module")
def aws(settings: Settings) -> Aws:
    return Aws(settings.aws)


def arrived(settings: Settings, recipient: str, subject: str) -> list[Mail]:
    assert settings.monitoring.inbox is not None
    return [m for m in messages(settings.monitoring.inbox, recipient) if subject in m.subject]


def subscribe(aws: Aws, settings: Settings, name: str, recipient: str) -> tuple[str, Any]:
    """The topic's ARN and what the mail of confirmation says."""
    topic = str(aws.call("sns", "create_topic", Name=name)["TopicArn"])
    aws.call("sns", "subscribe", TopicArn=topic, Protocol="email-json", Endpoint=recipient)
    mail = until(lambda: arrived(settings, recipient, "Confirmation"), "the confirmation's mail")
    return topic, json.loads(mail[-1].text)


def state(aws: Aws, topic: str) -> list[str]:
    found = aws.call("sns", "list_subscriptions_by_topic", TopicArn=topic)["Subscriptions"]
    return [item["SubscriptionArn"] for item in found]


def follow(url: str, settings: Settings) -> int:
    """What a person's browser, or a mail scanner, does with a link."""
    trust = create_default_context(cafile=settings.aws.ca_file)
    try:
        with urllib.request.urlopen(url, timeout=10, context=trust) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_nothing_comes_before_the_confirmation(aws: Aws, settings: Settings) -> None:
    topic, told = subscribe(aws, settings, "mail-pending", "pending@lab.example")
    assert state(aws, topic) == ["PendingConfirmation"]
    aws.call("sns", "publish", TopicArn=topic, Subject="too early", Message="x")
    arguments = {"TopicArn": topic, "Token": told["Token"], "AuthenticateOnUnsubscribe": "true"}
    arn = aws.call("sns", "confirm_subscription", **arguments)["SubscriptionArn"]
    assert state(aws, topic) == [arn]
    aws.call("sns", "publish", TopicArn=topic, Subject="in time", Message="the message")
    mail = until(lambda: arrived(settings, "pending@lab.example", "in time"), "the notification")
    assert json.loads(mail[0].text)["Message"] == "the message"
    assert arrived(settings, "pending@lab.example", "too early") == []


@pytest.mark.parametrize(("authenticated", "stays"), [(True, True), (False, False)])
def test_a_mail_scanner_unsubscribes_only_where_nobody_guarded_it(
    aws: Aws, settings: Settings, *, authenticated: bool, stays: bool
) -> None:
    """failures.md 22."""
    name = f"mail-{authenticated}".lower()
    topic, told = subscribe(aws, settings, name, f"{name}@lab.example")
    if authenticated:
        arguments = {"TopicArn": topic, "Token": told["Token"], "AuthenticateOnUnsubscribe": "true"}
        aws.call("sns", "confirm_subscription", **arguments)
    else:
        assert follow(told["SubscribeURL"], settings) == 200
    aws.call("sns", "publish", TopicArn=topic, Subject="scanned", Message="x")
    mail = until(lambda: arrived(settings, f"{name}@lab.example", "scanned"), "the notification")
    status = follow(json.loads(mail[0].text)["UnsubscribeURL"], settings)
    assert status == (403 if stays else 200)
    assert bool(state(aws, topic)) is stays
    if stays:
        arn = state(aws, topic)[0]
        found = aws.call("sns", "get_subscription_attributes", SubscriptionArn=arn)["Attributes"]
        assert found["ConfirmationWasAuthenticated"] == "true"
