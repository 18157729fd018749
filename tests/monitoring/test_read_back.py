"""What was told is read back from both channels: only what is new, only what is ours."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chronos_ops.connectors import inbox
from chronos_ops.connectors.inbox import Mail
from chronos_ops.execution.context import Context
from chronos_ops.model.monitoring import Inbox
from chronos_ops.monitoring.read_back import Listener, alarm_of, confirmation_token, token_of

TOPIC = "arn:aws:sns:ca-central-1:123456789012:chronos-alarms"


def notification(
    alarm: str, state: str, reason: str = "", second: int = 7, age_seconds: float = 0
) -> str:
    changed = datetime.now(UTC) - timedelta(seconds=age_seconds)
    told = {
        "AlarmName": alarm,
        "NewStateValue": state,
        "OldStateValue": "ALARM" if state == "OK" else "OK",
        "NewStateReason": reason,
        "StateChangeTime": f"{changed:%Y-%m-%dT%H:%M}:{second:02}.123+0000",
    }
    return json.dumps({"Type": "Notification", "Message": json.dumps(told)})


def confirmation(token: str, topic: str = TOPIC) -> str:
    return json.dumps({"Type": "SubscriptionConfirmation", "TopicArn": topic, "Token": token})


class Queue:
    """SQS as far as a listener uses it."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.hides = False

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        assert service == "sqs"
        if operation == "delete_message":
            self.waiting.remove(arguments["ReceiptHandle"])
            return {}
        if self.hides and not arguments["WaitTimeSeconds"]:  # a short poll asks some servers only
            return {}
        return {"Messages": [{"Body": b, "ReceiptHandle": b} for b in self.waiting[:10]]}


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[Mail]:
    arrived: list[Mail] = []

    def read(_inbox: Inbox, _recipient: str, _password: Any) -> list[Mail]:
        return arrived[-3:]  # as IMAP: only the newest

    monkeypatch.setattr(inbox, "messages", read)
    return arrived


@pytest.fixture
def context() -> Context:
    monitoring = SimpleNamespace(
        inbox=Inbox(url="https://mail.example/x"), email="ops@example.com",
        topic="chronos-alarms", queue="read-back",
    )  # fmt: skip
    aws = SimpleNamespace(region="ca-central-1", account_id="123456789012")
    settings = SimpleNamespace(monitoring=monitoring, aws=aws)
    return cast("Context", SimpleNamespace(settings=settings, aws=Queue(), folder=Path()))


def test_what_was_there_before_is_left_alone(context: Context, mails: list[Mail]) -> None:
    queue = cast("Queue", context.aws)
    queue.waiting = [notification("disk", "ALARM")]
    queue.hides = True
    mails.append(Mail(1.0, "ALARM", notification("disk", "ALARM")))
    listener = Listener(context)
    listener.begin()
    listener.listen(0)
    assert listener.told == []
    assert queue.waiting == []


def test_what_comes_late_is_no_proof_of_now(context: Context, mails: list[Mail]) -> None:
    """A second delivery by SQS, a mail that was held back: yesterday's alarm."""
    listener = Listener(context)
    listener.begin()
    cast("Queue", context.aws).waiting = [notification("disk", "ALARM", age_seconds=3600)]
    mails.append(Mail(1.0, "ALARM", notification("disk", "ALARM", age_seconds=3600)))
    listener.listen(0)
    assert listener.told == []


def test_both_channels_are_heard_once(context: Context, mails: list[Mail]) -> None:
    listener = Listener(context)
    listener.begin()
    cast("Queue", context.aws).waiting = [notification("disk", "ALARM", "nonce 7")]
    mails.append(Mail(1.0, "ALARM", notification("disk", "ALARM", "nonce 7")))
    for _ in range(3):
        listener.listen(0)
    assert sorted(told.channel for told in listener.told) == ["e-mail", "queue"]
    assert listener.find("disk", "ALARM", "queue", nonce="nonce 7") is not None
    assert listener.find("disk", "ALARM", "queue", nonce="nonce 8") is None
    assert listener.find("disk", "OK", "e-mail") is None
    assert listener.find("disk", "ALARM", "e-mail", after=listener.told[0].read_at + 60) is None


def test_a_way_back_counts_by_the_time_of_its_change(context: Context, mails: list[Mail]) -> None:
    """SQS keeps no order: the OK may be read before its ALARM."""
    listener = Listener(context)
    listener.begin()
    cast("Queue", context.aws).waiting = [
        notification("disk", "OK", "an older one", 5),
        notification("disk", "OK", "nonce (before)", 7),
        notification("disk", "OK", "all is well", 7),
        notification("disk", "ALARM", "nonce (driven)", 7),
    ]
    listener.listen(0)
    alarmed = listener.find("disk", "ALARM", "queue")
    assert alarmed is not None
    back = listener.way_back(alarmed, "nonce (before)")
    assert back is not None
    assert back.reason == "all is well"
    assert listener.way_back(replace(alarmed, channel="e-mail"), "") is None


def test_a_mailbox_that_shows_only_the_newest_is_heard_for_ever(
    context: Context, mails: list[Mail]
) -> None:
    listener = Listener(context)
    listener.begin()
    for number in range(10):
        mails.append(Mail(float(number), "ALARM", notification(f"alarm-{number}", "ALARM")))
        listener.listen(0)
    assert [told.alarm for told in listener.told] == [f"alarm-{n}" for n in range(10)]


@pytest.mark.parametrize("text", ["", "hello", "[]", '{"Message": "no JSON"}', '{"Message": "1"}'])
def test_other_messages_are_none_of_ours(text: str) -> None:
    assert alarm_of(text) is None
    assert token_of(text, "chronos-alarms") == ""


def test_the_newest_token_of_our_own_topic(context: Context, mails: list[Mail]) -> None:
    assert confirmation_token(context) == ""
    mails += [
        Mail(1.0, "x", confirmation("old")),
        Mail(2.0, "x", confirmation("new")),
        Mail(3.0, "x", confirmation("another's", TOPIC + "-2")),
    ]
    assert confirmation_token(context) == "new"
