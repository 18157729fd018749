"""What the topic told, read back from its queue and from the mailbox (M3, M4)."""

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chronos_ops.connectors import inbox
from chronos_ops.connectors.inbox import Mail
from chronos_ops.execution.context import Context
from chronos_ops.plans.topic import queue_url

_BATCH = 10  # ReceiveMessage gives no more
_CLOCKS_SECONDS = 300  # that ours and CloudWatch's may be apart


@dataclass(frozen=True)
class Told:
    """One notification: which alarm, its state now and before, why, and when.

    `changed_at`: by CloudWatch's clock (epoch seconds); `read_at`: by ours (monotonic).
    """

    alarm: str
    state: str
    before: str
    reason: str
    channel: str
    changed_at: float
    read_at: float


@dataclass
class Listener:
    """Reads both channels. `told` grows; what lies there when it begins is left alone.

    So is what is older and comes late: a queue delivers twice, a mail waits on its way.
    """

    context: Context
    told: list[Told] = field(default_factory=list)
    _seen: set[Mail] = field(default_factory=set)
    _since: float = 0

    def begin(self) -> None:
        """Take away what nobody read from the queue, and remember the mails that are there."""
        self._since = time.time() - _CLOCKS_SECONDS
        drain(self.context)
        self._seen |= set(_mails(self.context))

    def listen(self, wait_seconds: int = 1) -> None:
        """Read what came since the last look."""
        self._queue(wait_seconds)
        self._mailbox()

    def find(
        self, alarm: str, state: str, channel: str, *, nonce: str = "", after: float = 0
    ) -> Told | None:
        """The first notification of that alarm, state and channel, read at `after` or later."""
        for each in self.told:
            same = (each.alarm, each.state, each.channel) == (alarm, state, channel)
            if same and nonce in each.reason and each.read_at >= after:
                return each
        return None

    def way_back(self, alarmed: Told, but: str) -> Told | None:
        """The same channel's OK out of that ALARM, its reason not `but`.

        A queue keeps no order: it may have been read before the ALARM.
        """
        where = (alarmed.alarm, "OK", "ALARM", alarmed.channel)
        for each in self.told:
            same = (each.alarm, each.state, each.before, each.channel) == where
            if same and each.changed_at >= alarmed.changed_at and each.reason != but:
                return each
        return None

    def _queue(self, wait_seconds: int) -> None:
        url = queue_url(self.context.settings)
        call = self.context.aws.call
        answer = call(
            "sqs",
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=wait_seconds,
        )
        for message in answer.get("Messages", ()):
            self._keep(message["Body"], "queue")
            handle = message["ReceiptHandle"]
            call("sqs", "delete_message", QueueUrl=url, ReceiptHandle=handle)

    def _mailbox(self) -> None:
        for mail in _mails(self.context):
            if mail not in self._seen:
                self._seen.add(mail)
                self._keep(mail.text, "e-mail")

    def _keep(self, text: str, channel: str) -> None:
        told = alarm_of(text)
        if told is None:
            return
        changed_at = datetime.fromisoformat(told["StateChangeTime"]).timestamp()
        if changed_at >= self._since:
            self.told.append(
                Told(
                    alarm=told["AlarmName"],
                    state=told["NewStateValue"],
                    before=told["OldStateValue"],
                    reason=told["NewStateReason"],
                    channel=channel,
                    changed_at=changed_at,
                    read_at=time.monotonic(),
                )
            )


def _mails(context: Context) -> list[Mail]:
    """The declared mailbox; none where none is declared."""
    monitoring = context.settings.monitoring
    if monitoring.inbox is None or monitoring.email is None:
        return []
    name = monitoring.inbox.password_secret
    password = context.aws.get_secret(name) if name else None
    return inbox.messages(monitoring.inbox, monitoring.email, password)


def drain(context: Context) -> int:
    """Take away what nobody read; how many messages that was.

    It waits a second for each answer: without, SQS asks some of its servers only, and may say
    that there is nothing.
    """
    count, url = 0, queue_url(context.settings)
    while True:
        answer = context.aws.call(
            "sqs", "receive_message", QueueUrl=url, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=1
        )
        if not (found := answer.get("Messages", ())):
            return count
        for message in found:
            context.aws.call(
                "sqs", "delete_message", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"]
            )
            count += 1


def alarm_of(text: str) -> dict[str, Any] | None:
    """An alarm's notification inside SNS's envelope; None: it is another message."""
    try:
        message = json.loads(json.loads(text)["Message"])
        return message if isinstance(message, dict) and "AlarmName" in message else None
    except (ValueError, KeyError, TypeError):
        return None


def confirmation_token(context: Context) -> str:
    """The token of the newest confirmation mail for our topic; empty: none came, or no inbox."""
    topic = context.settings.monitoring.topic
    tokens = [token_of(mail.text, topic) for mail in _mails(context)]
    return next((token for token in reversed(tokens) if token), "")


def token_of(text: str, topic: str) -> str:
    try:
        message = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(message, dict) or message.get("Type") != "SubscriptionConfirmation":
        return ""
    same = str(message.get("TopicArn", "")).endswith(f":{topic}")
    return str(message.get("Token", "")) if same else ""
