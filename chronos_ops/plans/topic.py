"""Who is told of an alarm: a topic, an e-mail, and a queue that reads back what was told (M3)."""

from typing import Any

from chronos_ops.facts import sns
from chronos_ops.facts.sns import Subscription
from chronos_ops.model.plan import CallAws, Change, Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.documents import same, shown

EMAIL = "email-json"
_RETENTION_SECONDS = "1209600"  # 14 days, the most: what nobody read stays


def topic_arn(settings: Settings) -> str:
    """SNS Developer Guide: arn:aws:sns:<region>:<account>:<name>."""
    aws = settings.aws
    return f"arn:aws:sns:{aws.region}:{aws.account_id}:{settings.monitoring.topic}"


def queue_arn(settings: Settings) -> str:
    aws = settings.aws
    return f"arn:aws:sqs:{aws.region}:{aws.account_id}:{settings.monitoring.queue}"


def queue_url(settings: Settings) -> str:
    """boto3 sends to its own endpoint, and takes account and name from this address."""
    aws = settings.aws
    return f"https://sqs.{aws.region}.amazonaws.com/{aws.account_id}/{settings.monitoring.queue}"


def topic_policy(settings: Settings) -> dict[str, Any]:
    """Both services of this account may publish; nobody may without TLS."""
    arn, account = topic_arn(settings), settings.aws.account_id

    def publish(sid: str, service: str) -> dict[str, Any]:
        return {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        }

    return {
        "Version": "2012-10-17",
        "Statement": [
            publish("AlarmsMayPublish", "cloudwatch"),
            publish("BudgetsMayPublish", "budgets"),
            {
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": arn,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


def queue_policy(settings: Settings) -> dict[str, Any]:
    """Only this topic may send."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyTheTopic",
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn(settings),
                "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn(settings)}},
            }
        ],
    }


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """The topic, its subscriptions, the queue."""
    return {
        "topic": sns.topic(topic_arn(settings)),
        "subscriptions": sns.subscriptions(topic_arn(settings)),
        "queue": sns.queue(queue_url(settings)),
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Make what is missing; a subscription that was lost is asked for again."""
    changes = [
        _topic(settings, values["topic"]),
        _policy(settings, values["topic"]),
        _key(settings, values["topic"]),
        _queue(settings, values["queue"]),
        _subscription(settings, values["subscriptions"], "sqs", queue_arn(settings)),
        _subscription(settings, values["subscriptions"], EMAIL, settings.monitoring.email or ""),
    ]
    done = tuple(change for change in changes if change is not None)
    return Plan(
        name="notification",
        changes=done,
        noop_reason="" if done else "the topic, its policy, queue and subscriptions are there",
    )


def _topic(settings: Settings, topic: sns.Topic | None) -> Change | None:
    if topic is not None:
        return None
    arn = topic_arn(settings)
    return Change(
        id="sns.topic",
        title=f"make the topic {settings.monitoring.topic}",
        why="alarms and the budget tell it; people and a queue hear it",
        deeds=(
            CallAws(
                service="sns",
                operation="CreateTopic",
                arguments={"Name": settings.monitoring.topic},
            ),
        ),
        undo=(CallAws(service="sns", operation="DeleteTopic", arguments={"TopicArn": arn}),),
        after=arn,
        creates=f"sns:topic/{settings.monitoring.topic}",
    )


def _set_attribute(settings: Settings, name: str, value: str) -> CallAws:
    arguments = {
        "TopicArn": topic_arn(settings),
        "AttributeName": name,
        "AttributeValue": value,
    }
    return CallAws(service="sns", operation="SetTopicAttributes", arguments=arguments)


def _policy(settings: Settings, topic: sns.Topic | None) -> Change | None:
    wanted, former = topic_policy(settings), topic.policy if topic else {}
    if same(former, wanted):
        return None
    undo = (_set_attribute(settings, "Policy", shown(former)),) if former else ()
    return Change(
        id="sns.topic-policy",
        title="let CloudWatch and Budgets publish to it, over TLS only",
        why="without it an alarm fires into nothing, and nothing tells",
        deeds=(_set_attribute(settings, "Policy", shown(wanted)),),
        undo=undo,
        before=shown(former),
        after=shown(wanted),
    )


def _key(settings: Settings, topic: sns.Topic | None) -> Change | None:
    wanted, former = settings.monitoring.topic_key or "", topic.key if topic else ""
    if wanted == former:
        return None
    return Change(
        id="sns.topic-key",
        title=f"encrypt the topic with {wanted}" if wanted else "take the topic's key away",
        why="CloudWatch cannot publish to a topic that the AWS managed key encrypts; a customer "
        "key must admit cloudwatch.amazonaws.com and budgets.amazonaws.com",
        deeds=(_set_attribute(settings, "KmsMasterKeyId", wanted),),
        undo=(_set_attribute(settings, "KmsMasterKeyId", former),),
        before=former,
        after=wanted,
    )


def _queue(settings: Settings, queue: sns.Queue | None) -> Change | None:
    wanted, former = queue_policy(settings), queue.policy if queue else {}
    if queue is not None and same(former, wanted):
        return None
    name, url = settings.monitoring.queue, queue_url(settings)
    attributes = {"Policy": shown(wanted), "MessageRetentionPeriod": _RETENTION_SECONDS}
    if queue is None:
        deed = CallAws(
            service="sqs",
            operation="CreateQueue",
            arguments={"QueueName": name, "Attributes": attributes},
        )
        undo = CallAws(service="sqs", operation="DeleteQueue", arguments={"QueueUrl": url})
    else:
        deed, undo = (
            CallAws(
                service="sqs",
                operation="SetQueueAttributes",
                arguments={"QueueUrl": url, "Attributes": {"Policy": policy}},
            )
            for policy in (shown(wanted), shown(former) if former else "")
        )
    return Change(
        id="sqs.queue",
        title=f"make the queue {name}" if queue is None else f"mend the policy of the queue {name}",
        why="the second channel: what the topic told is read back from it",
        deeds=(deed,),
        undo=(undo,),
        before=shown(former),
        after=shown(wanted),
        creates=f"sqs:queue/{name}" if queue is None else "",
    )


def _subscription(
    settings: Settings, known: list[Subscription], protocol: str, endpoint: str
) -> Change | None:
    """A lost one is asked for again. A pending one is a finding: its mail is on its way."""
    if not endpoint:
        return None
    if any(each.leads_to(protocol, endpoint) for each in known):
        return None
    arguments: dict[str, Any] = {
        "TopicArn": topic_arn(settings),
        "Protocol": protocol,
        "Endpoint": endpoint,
        "ReturnSubscriptionArn": True,
    }
    return Change(
        id=f"sns.subscription.{protocol}",
        title=f"subscribe {endpoint} ({protocol})",
        why="a topic that nobody hears wakes nobody",
        deeds=(CallAws(service="sns", operation="Subscribe", arguments=arguments),),
        after=f"{protocol}: {endpoint}",
    )


NOTIFICATION = Stage("notification", facts, plan)
