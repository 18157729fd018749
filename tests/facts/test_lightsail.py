"""What Lightsail's answers mean."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chronos_ops.facts import lightsail
from chronos_ops.model.errors import UnreadableAnswer

MADE = datetime(2026, 1, 2, tzinfo=UTC)
# From the API reference's example of get-instance, shortened.
INSTANCE: dict[str, Any] = {
    "name": "MEAN-1",
    "createdAt": MADE,
    "location": {"availabilityZone": "us-west-2a", "regionName": "us-west-2"},
    "tags": [{"key": "chronos:run", "value": "r1"}, {"key": "bare"}],
    "blueprintId": "mean",
    "bundleId": "medium_3_0",
    "isStaticIp": False,
    "publicIpAddress": "203.0.113.7",
    "state": {"code": 16, "name": "running"},
    "username": "bitnami",
}


def test_an_instance_is_read() -> None:
    found = lightsail.instance("MEAN-1").parse({"instance": INSTANCE})
    assert found is not None
    assert (found.state, found.address, found.user) == ("running", "203.0.113.7", "bitnami")
    assert found.created_at == MADE
    assert found.run_id == "r1"
    assert found.tags["bare"] == ""


def test_an_instance_without_an_address_or_a_run() -> None:
    young = {k: v for k, v in INSTANCE.items() if k not in ("publicIpAddress", "tags")}
    [found] = lightsail.instances().parse({"instances": [young]})
    assert (found.address, found.run_id) == ("", "")


def test_no_such_instance_is_an_answer() -> None:
    assert lightsail.instance("x").parse(None) is None


@pytest.mark.parametrize("answer", [{}, {"instance": {}}, {"instance": None}, [], "text"])
def test_what_is_no_instance_is_not_known(answer: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        lightsail.instance("x").parse(answer)


def test_host_keys_are_lines_of_a_known_hosts_file() -> None:
    keys = [
        {"algorithm": "ssh-rsa", "publicKey": "AAAAB3"},
        {"algorithm": "ssh-ed25519", "publicKey": "AAAAC3"},
    ]
    details = {"accessDetails": {"ipAddress": "203.0.113.7", "hostKeys": keys}}
    assert lightsail.host_keys("x").parse(details) == (
        "203.0.113.7 ssh-rsa AAAAB3",
        "203.0.113.7 ssh-ed25519 AAAAC3",
    )


def test_keys_that_lightsail_has_not_seen_yet() -> None:
    assert lightsail.host_keys("x").parse({"accessDetails": {"ipAddress": "203.0.113.7"}}) == ()
