"""Is there anybody who hears? Subscriptions, the topic's door, actions that failed (M3)."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_ops.execution.context import Context
from chronos_ops.facts import cloudwatch, sns
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.monitoring import AWS_MANAGED_KEY
from chronos_ops.model.outcome import Outcome
from chronos_ops.monitoring.read_back import confirmation_token
from chronos_ops.plans.alarms import prefix
from chronos_ops.plans.documents import same
from chronos_ops.plans.topic import (
    EMAIL,
    queue_arn,
    queue_policy,
    queue_url,
    topic_arn,
    topic_policy,
)

_MAIL_SECONDS = 30
_HISTORY_HOURS = 24
_FILTER_HINT = (
    "an alarm's message has no attributes to filter by: take the subscription's FilterPolicy away "
    "(`aws sns set-subscription-attributes --attribute-name FilterPolicy --attribute-value '{}'`)"
)


def confirm_email(context: Context) -> Outcome:
    """Confirm the e-mail subscription with its token, so that only we can unsubscribe it."""
    settings = context.settings
    if not settings.monitoring.email:
        return Outcome(summary="No e-mail address is declared (monitoring.email).")
    arn = topic_arn(settings)
    mine = _mail(context)
    if mine is not None and mine.confirmed:
        return Outcome(summary=f"{mine.endpoint} is confirmed already.")
    token = str(getattr(context.parameters, "email_token", ""))
    deadline = time.monotonic() + (_MAIL_SECONDS if settings.monitoring.inbox else 0)
    with context.journal.interval("wait", "the confirmation's mail"):
        while not token:
            token = confirmation_token(context)
            if time.monotonic() >= deadline:
                break
            time.sleep(0.5)
    if not token:
        return Outcome(
            summary=f"{settings.monitoring.email} is not confirmed: take the token out of the "
            "mail `AWS Notification - Subscription Confirmation` and run again with "
            "`-p email_token=<token>`. Do not follow its link: then anybody can unsubscribe."
        )
    context.aws.call(
        "sns",
        "confirm_subscription",
        TopicArn=arn,
        Token=token,
        AuthenticateOnUnsubscribe="true",
    )
    return Outcome(summary=f"{settings.monitoring.email} is confirmed; only AWS users of this "
                   "account can unsubscribe it.")  # fmt: skip


def _mail(context: Context) -> sns.Subscription | None:
    settings = context.settings
    found = context.ask(sns.subscriptions(topic_arn(settings)))
    return _best(found, EMAIL, settings.monitoring.email or "")


def _best(known: list[sns.Subscription], protocol: str, endpoint: str) -> sns.Subscription | None:
    """The subscription of that endpoint: the confirmed one, where several are listed."""
    mine = [each for each in known if each.leads_to(protocol, endpoint)]
    return next((each for each in mine if each.confirmed), mine[0] if mine else None)


def _attributes(context: Context, mine: sns.Subscription | None) -> dict[str, str]:
    """Of a confirmed one; none of another."""
    if mine is None or not mine.confirmed:
        return {}
    call = context.aws.call
    answer = call("sns", "get_subscription_attributes", SubscriptionArn=mine.arn)
    return dict(answer["Attributes"])


def _filter(attributes: dict[str, str]) -> str:
    """What lets only some messages through; empty: all of them come."""
    text = attributes.get("FilterPolicy", "")
    return text if text.strip() not in ("", "{}") else ""


def channels(context: Context) -> Outcome:
    """Ask the topic, its subscriptions and the alarms' history."""
    settings = context.settings
    topic = context.ask(sns.topic(topic_arn(settings)))
    known = context.ask(sns.subscriptions(topic_arn(settings)))
    findings = [
        judge(
            "monitoring.topic",
            "The topic admits CloudWatch and Budgets of this account, over TLS only",
            passed=topic is not None and same(topic.policy, topic_policy(settings)),
            observed=_policy_seen(topic, topic_policy(settings)),
            expected="the declared policy",
            hint="run the stage `notification`",
            requirement="M3",
        ),
        judge(
            "monitoring.topic-key",
            "The topic's key does not silence alarms",
            passed=topic is not None and not topic.key.endswith(AWS_MANAGED_KEY),
            observed="no such topic" if topic is None else topic.key or "not encrypted",
            expected="none, or a customer key",
            hint=f"{AWS_MANAGED_KEY} does not admit CloudWatch: run the stage `notification`",
            requirement="M3",
        ),
        _queue(context, known),
        _email(context, known),
        failed_actions(context),
    ]
    table = [
        {"protocol": s.protocol, "endpoint": s.endpoint, "confirmed": s.confirmed} for s in known
    ]
    return Outcome(summary=f"{len(known)} subscriptions.", table=table, findings=findings)


def _policy_seen(topic: sns.Topic | None, wanted: dict[str, Any]) -> str:
    """Which statements are there, by their Sid."""
    if topic is None:
        return "no such topic"
    if same(topic.policy, wanted):
        return "as declared"
    found = [str(s.get("Sid", "without a Sid")) for s in topic.policy.get("Statement", ())]
    return f"another policy: {', '.join(found) or 'no statement'}"


def _queue(context: Context, known: list[sns.Subscription]) -> Finding:
    settings = context.settings
    name, mine = settings.monitoring.queue, _best(known, "sqs", queue_arn(settings))
    queue, hint = context.ask(sns.queue(queue_url(settings))), "run the stage `notification`"
    good, state = False, "subscribed"
    if queue is None:
        state = "no such queue"
    elif not same(queue.policy, queue_policy(settings)):
        state = "its policy is another: the topic may not be admitted"
    elif mine is None or not mine.confirmed:
        state = "not subscribed"
    elif withheld := _filter(_attributes(context, mine)):
        state, hint = f"hears only what passes its filter {withheld}", _FILTER_HINT
    else:
        good = True
    return judge(
        "monitoring.queue",
        "The second channel is there, subscribed, and hears every message",
        passed=good,
        observed=f"{name}: {state}",
        expected=f"{name} admits the topic and is subscribed, without a filter",
        hint=hint,
        requirement="M3",
    )


def _email(context: Context, known: list[sns.Subscription]) -> Finding:
    """Pending and lost are failures: the alarm would fire into nothing."""
    address = context.settings.monitoring.email
    title = "An e-mail address hears the alarms, and no mail scanner can unsubscribe it"
    expected, requirement = "confirmed, AuthenticateOnUnsubscribe", "M3"
    if not address:
        return judge(
            "monitoring.email",
            title,
            passed=False,
            observed="no address declared",
            expected=expected,
            hint="set monitoring.email",
            requirement=requirement,
        )
    mine = _best(known, EMAIL, address)
    state, hint = "not subscribed, or unsubscribed", "run the stage `notification`"
    guarded = False
    if mine is not None and not mine.confirmed:
        state = "pending: the mail was not confirmed (it lapses after two days)"
        hint = "run the step `confirm-email` with `-p email_token=` the token of the mail"
    elif mine is not None:
        attributes = _attributes(context, mine)
        guarded = attributes.get("ConfirmationWasAuthenticated") == "true"
        state = "confirmed" if guarded else "confirmed by its link: anybody may unsubscribe it"
        hint = "unsubscribe it, run the stage `notification`, then `confirm-email`"
        if withheld := _filter(attributes):
            guarded, hint = False, _FILTER_HINT
            state = f"hears only what passes its filter {withheld}"
    return judge(
        "monitoring.email",
        title,
        passed=guarded,
        observed=f"{address}: {state}",
        expected=expected,
        hint=hint,
        requirement=requirement,
    )


def failed_actions(context: Context, since: datetime | None = None) -> Finding:
    """What the alarms' own history says of actions that did not reach the topic."""
    start = since or datetime.now(UTC) - timedelta(hours=_HISTORY_HOURS)
    deployed = context.ask(cloudwatch.alarms(prefix(context.settings)))
    failed: list[str] = []
    for name in deployed:
        failed += [
            f"{name}: {event.summary}"
            for event in context.ask(cloudwatch.history(name, "Action", start))
            if event.summary.startswith("Failed")
        ]
    return judge(
        "monitoring.actions",
        "No action of an alarm failed",
        passed=not failed if deployed else None,
        observed="; ".join(failed[:3]) or f"{len(deployed)} alarms, none failed",
        expected="none",
        hint="the topic's policy or key does not admit CloudWatch: run the stage `notification`",
        requirement="M3",
    )
