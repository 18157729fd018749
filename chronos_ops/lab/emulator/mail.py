# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
"""SNS by e-mail as AWS does it: nothing comes before the link in the first mail was followed.

ministack confirms e-mail subscriptions by itself and sends nothing. Pinned to 1.5.33: start-up
fails if one of the replaced functions is gone.
"""

import json
import logging
import secrets
import smtplib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

from ministack.core import iam_evaluator, responses
from ministack.services import sns

_LOG = logging.getLogger("chronos.lab.aws")
_REPLACED = ("_subscribe", "_confirm_subscription", "_unsubscribe", "_fanout", "_build_envelope")
_MAIL = ("email", "email-json")
_FROM = "no-reply@sns.amazonaws.com"
_PENDING = "PendingConfirmation"  # stands in the ARN's place in lists
Call = Callable[..., Any]


@dataclass(frozen=True)
class Post:
    """Where mail goes, and where its links lead."""

    smtp_host: str
    smtp_port: int
    endpoint_url: str


def install(post: Post) -> None:
    """Replace what ministack does. Raises RuntimeError if it is not the one this knows."""
    missing = [name for name in _REPLACED if not callable(getattr(sns, name, None))]
    if missing:
        raise RuntimeError(f"ministack's sns has no {', '.join(missing)}")
    sns._subscribe = _subscribe(post, sns._subscribe)
    sns._confirm_subscription = _confirm(sns._confirm_subscription)
    sns._unsubscribe = _unsubscribe(sns._unsubscribe)
    sns._fanout = _fanout(post, sns._fanout)


def _subscribe(post: Post, known: Call) -> Call:
    def subscribe(params: dict[str, Any]) -> Any:
        topic_arn, protocol = sns._p(params, "TopicArn"), sns._p(params, "Protocol")
        before = _subscriptions(topic_arn)
        answer = known(params)
        for sub in _subscriptions(topic_arn):
            again = sub["endpoint"] == sns._p(params, "Endpoint") and "real_arn" in sub
            if protocol in _MAIL and again:  # as AWS does: the link once more
                _send_in_background(post, sub, _confirmation(post, topic_arn, sub))
            elif protocol in _MAIL and all(sub is not old for old in before):
                sub.update(
                    confirmed=False, token=secrets.token_hex(32), real_arn=sub["arn"], arn=_PENDING
                )
                sub["attributes"].update(
                    PendingConfirmation="true", ConfirmationWasAuthenticated="false"
                )
                _send_in_background(post, sub, _confirmation(post, topic_arn, sub))
        return answer

    return subscribe


async def follow_link(query: dict[str, list[str]], account: str, region: str) -> tuple[int, bytes]:
    """A link of a mail, without credentials: SNS knows it by its token or ARN."""
    responses.set_request_account_id(account)
    responses.set_request_region(region)
    iam_evaluator._verified_key.set(None)
    status, _headers, body = await sns.handle_request("GET", "/", {}, b"", query)
    return status, body if isinstance(body, bytes) else str(body).encode()


def _subscriptions(topic_arn: str) -> list[dict[str, Any]]:
    topic = sns._topic_by_arn_any_scope(topic_arn)
    return list(topic["subscriptions"]) if topic else []


def _confirmation(post: Post, topic_arn: str, sub: dict[str, Any]) -> tuple[str, str]:
    query = {"Action": "ConfirmSubscription", "TopicArn": topic_arn, "Token": sub["token"]}
    link = f"{post.endpoint_url}/?{urlencode(query)}"
    text = f"You have chosen to subscribe to the topic {topic_arn}."
    told = {
        "Type": "SubscriptionConfirmation",
        "TopicArn": topic_arn,
        "Token": sub["token"],
        "Message": text,
        "SubscribeURL": link,
    }
    body = json.dumps(told) if sub["protocol"] == "email-json" else f"{text}\n{link}\n"
    return "AWS Notification - Subscription Confirmation", body


def _confirm(known: Call) -> Call:
    def confirm(params: dict[str, Any]) -> Any:
        token = sns._p(params, "Token")
        for sub in _subscriptions(sns._p(params, "TopicArn")):
            if token and sub.get("token") == token and "real_arn" in sub:
                asked = sns._p(params, "AuthenticateOnUnsubscribe").lower() == "true"
                signed = iam_evaluator._verified_key.get() is not None
                sub["arn"] = sub.pop("real_arn")
                answer = known(params)
                authenticated = "true" if asked and signed else "false"
                sub["attributes"]["ConfirmationWasAuthenticated"] = authenticated
                return answer
        return known(params)

    return confirm


def _unsubscribe(known: Call) -> Call:
    def unsubscribe(params: dict[str, Any]) -> Any:
        arn = sns._p(params, "SubscriptionArn")
        for sub in _subscriptions(sns._sub_arn_to_topic.get(arn) or ""):
            guarded = sub["attributes"].get("ConfirmationWasAuthenticated") == "true"
            mail = sub["protocol"] in _MAIL and sub["arn"] == arn
            if mail and guarded and iam_evaluator._verified_key.get() is None:
                return sns._error("AuthorizationError", "sign in to unsubscribe", 403)
        return known(params)

    return unsubscribe


def _fanout(post: Post, known: Call) -> Call:
    def fanout(
        topic_arn: str, msg_id: str, message: str, subject: str, *more: Any, **named: Any
    ) -> Any:
        answer = known(topic_arn, msg_id, message, subject, *more, **named)
        for sub in _subscriptions(topic_arn):
            if sub["protocol"] in _MAIL and sub.get("confirmed"):
                link = f"{post.endpoint_url}/?{urlencode({'Action': 'Unsubscribe'})}"
                envelope = {
                    "Type": "Notification",
                    "MessageId": msg_id,
                    "TopicArn": topic_arn,
                    "Subject": subject,
                    "Message": message,
                    "UnsubscribeURL": f"{link}&{urlencode({'SubscriptionArn': sub['arn']})}",
                }
                plain = sub["protocol"] == "email"
                body = message if plain else json.dumps(envelope)
                _send_in_background(post, sub, (subject or "AWS Notification Message", body))
        return answer

    return fanout


def _send_in_background(post: Post, sub: dict[str, Any], mail: tuple[str, str]) -> None:
    """The API answers before the mail is delivered, as AWS does."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = _FROM, sub["endpoint"], mail[0]
    message.set_content(mail[1])
    threading.Thread(target=_send, args=(post, message), daemon=True).start()


def _send(post: Post, message: EmailMessage) -> None:
    try:
        with smtplib.SMTP(post.smtp_host, post.smtp_port, timeout=10) as smtp:
            smtp.send_message(message)
    except OSError as error:
        _LOG.warning("mail to %s was not delivered: %s", message["To"], error)
