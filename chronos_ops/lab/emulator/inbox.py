# mypy: disable-error-code="import-not-found,import-untyped,unused-ignore"
"""The lab's mailbox: a real SMTP server; what arrived is served as JSON."""

import email
import email.policy
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

SMTP_PORT = 2525
_MOST = 1000  # messages that are kept


class Inbox:
    """Keeps what arrives, in memory and in a file of mode 0600."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._guard = threading.Lock()
        self._messages: list[dict[str, Any]] = []
        if file.is_file():
            self._messages = json.loads(file.read_text(encoding="utf-8"))

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """aiosmtpd calls this for each message."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = message.get_body(("plain",))
        with self._guard:
            self._messages.append(
                {
                    "received_at": time.time(),
                    "from": envelope.mail_from,
                    "to": list(envelope.rcpt_tos),
                    "subject": str(message["subject"] or ""),
                    "text": body.get_content() if body is not None else "",
                }
            )
            del self._messages[:-_MOST]
            self._write()
        return "250 Message accepted for delivery"

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        part.unlink(missing_ok=True)
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump(self._messages, out)
        part.replace(self._file)

    def messages(self, recipient: str = "") -> list[dict[str, Any]]:
        """The oldest first; of one recipient if given."""
        with self._guard:
            return [m for m in self._messages if not recipient or recipient in m["to"]]


def serve(inbox: Inbox, address: str) -> Controller:
    """Start the SMTP server, on the lab's own address alone."""
    controller = Controller(inbox, hostname=address, port=SMTP_PORT)
    controller.start()
    return controller
