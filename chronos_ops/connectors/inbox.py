"""A mailbox that is only read: IMAP over TLS, or JSON over HTTPS (as the lab serves its own)."""

import email
import email.policy
import email.utils
import imaplib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import quote, unquote, urlsplit

from chronos_ops.model.errors import TransportError, UsageError
from chronos_ops.model.monitoring import Inbox
from chronos_ops.model.secret import Secret

_TIMEOUT_SECONDS = 15
_IMAPS_PORT = 993
_NEWEST = 50  # messages that are looked at


@dataclass(frozen=True)
class Mail:
    """One message: when it came (epoch seconds), its subject, its plain text."""

    received_at: float
    subject: str
    text: str


def messages(inbox: Inbox, recipient: str, password: Secret | None = None) -> list[Mail]:
    """What came for `recipient`, the oldest first. Raises UsageError, TransportError."""
    address = urlsplit(inbox.url)
    trust = ssl.create_default_context(cafile=inbox.ca_file)
    try:
        match address.scheme:
            case "https":
                return list(_json(f"{inbox.url}?to={quote(recipient)}", trust))
            case "imaps":
                return list(_imap(inbox.url, recipient, password, trust))
    except (OSError, ValueError, KeyError, imaplib.IMAP4.error) as error:
        raise TransportError("the inbox cannot be read", f"{address.hostname}: {error}") from None
    hint = "imaps://user@host/INBOX or https://host/messages"
    raise UsageError("monitoring.inbox.url is not understood", repr(inbox.url), hint=hint)


def _json(url: str, trust: ssl.SSLContext) -> Iterator[Mail]:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS, context=trust) as answer:  # noqa: S310 - https
        for item in json.load(answer)["messages"]:
            yield Mail(float(item["received_at"]), item["subject"], item["text"])


def _imap(
    url: str, recipient: str, password: Secret | None, trust: ssl.SSLContext
) -> Iterator[Mail]:
    address = urlsplit(url)
    if password is None or not address.username or not address.hostname:
        raise UsageError(
            "an IMAP inbox needs a user in its url and monitoring.inbox.password_secret"
        )
    port = address.port or _IMAPS_PORT
    with imaplib.IMAP4_SSL(
        address.hostname, port, ssl_context=trust, timeout=_TIMEOUT_SECONDS
    ) as server:
        server.login(unquote(address.username), password.reveal())
        server.select(unquote(address.path.strip("/")) or "INBOX", readonly=True)
        _status, found = server.search(None, "TO", f'"{recipient}"')
        for number in found[0].split()[-_NEWEST:]:
            _status, parts = server.fetch(number, "(BODY.PEEK[])")
            raw = next(part[1] for part in parts if isinstance(part, tuple))
            yield _mail(email.message_from_bytes(raw, policy=email.policy.default))


def _mail(message: EmailMessage) -> Mail:
    body = message.get_body(("plain",))
    date = email.utils.parsedate_to_datetime(message["date"])
    text = body.get_content() if body is not None else ""
    return Mail(date.timestamp(), str(message["subject"] or ""), text)
