"""What an alarm's test claims: no more than what was read back (M4)."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from chronos_ops.execution.context import Context
from chronos_ops.monitoring.drive import AlarmTest, Trial
from tests.monitoring.standing import settings

INBOX = {"monitoring.inbox": {"url": "https://mail.example/x"}}


@pytest.mark.parametrize(("inbox", "whom"), [(INBOX, "a person"), ({}, "the queue")])
def test_a_mail_that_nobody_read_back_reached_nobody_that_we_know(
    inbox: dict[str, Any], whom: str
) -> None:
    target = settings({"monitoring.email": "ops@example.com", **inbox})
    journal = SimpleNamespace(keep_secret=lambda _secret: None)
    context = SimpleNamespace(settings=target, aws=None, ssh=None, journal=journal)
    test = AlarmTest(cast("Context", context))
    finding = test._finding(Trial("chronos/db/heartbeat", "heartbeat", "a nonce", 0.0))
    assert f"reaches {whom}" in finding.title
    assert not finding.good
    assert "told by nobody" in finding.observed
