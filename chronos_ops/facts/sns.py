"""SNS and SQS: the topic, who hears it, and the queue that reads it back."""

import json
from dataclasses import dataclass
from typing import Any

from chronos_ops.model.question import AwsQuestion, Fact

_NO_TOPIC = ("NotFound", "NotFoundException")
_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
# These stand in the place of the ARN. One that was deleted is listed for some days more.
_PENDING = ("PendingConfirmation", "pending confirmation")
_DELETED = "Deleted"


@dataclass(frozen=True)
class Topic:
    """A topic: its policy, and the key that encrypts it (empty: none)."""

    policy: dict[str, Any]
    key: str


def topic(arn: str) -> Fact[Topic | None]:
    """The topic of that ARN; None: there is none."""
    question = AwsQuestion("sns", "get_topic_attributes", {"TopicArn": arn}, absent=_NO_TOPIC)

    def read(answer: Any) -> Topic | None:
        if answer is None:
            return None
        attributes = answer["Attributes"]
        policy = json.loads(attributes.get("Policy") or "{}")
        return Topic(policy, attributes.get("KmsMasterKeyId", ""))

    return Fact("sns_topic", question, read)


@dataclass(frozen=True)
class Subscription:
    """Who hears a topic. `arn` is empty while it is not confirmed."""

    arn: str
    protocol: str
    endpoint: str

    @property
    def confirmed(self) -> bool:
        return bool(self.arn)

    def leads_to(self, protocol: str, endpoint: str) -> bool:
        """Whether it is that one; SNS may have written an e-mail address in another case."""
        if self.protocol != protocol:
            return False
        if protocol.startswith("email"):
            return self.endpoint.casefold() == endpoint.casefold()
        return self.endpoint == endpoint


def subscriptions(topic_arn: str) -> Fact[list[Subscription]]:
    """Every subscription of a topic that is not deleted; none, too, if there is no such topic."""
    question = AwsQuestion(
        "sns",
        "list_subscriptions_by_topic",
        {"TopicArn": topic_arn},
        paginate=True,
        absent=_NO_TOPIC,
    )

    def read(answer: Any) -> list[Subscription]:
        return [
            Subscription(
                "" if item["SubscriptionArn"] in _PENDING else item["SubscriptionArn"],
                item["Protocol"],
                item["Endpoint"],
            )
            for item in (answer or {}).get("Subscriptions", ())
            if item["SubscriptionArn"] != _DELETED
        ]

    return Fact("sns_subscriptions", question, read)


@dataclass(frozen=True)
class Queue:
    """A queue that a topic may fill."""

    arn: str
    policy: dict[str, Any]


def queue(url: str) -> Fact[Queue | None]:
    """The queue of that address; None: there is none."""
    question = AwsQuestion(
        "sqs",
        "get_queue_attributes",
        {"QueueUrl": url, "AttributeNames": ["QueueArn", "Policy"]},
        absent=_NO_QUEUE,
    )

    def read(answer: Any) -> Queue | None:
        if answer is None:
            return None
        attributes = answer["Attributes"]
        return Queue(attributes["QueueArn"], json.loads(attributes.get("Policy") or "{}"))

    return Fact("sqs_queue", question, read)
