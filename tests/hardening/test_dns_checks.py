"""Who may issue for a name (RFC 8659, RFC 8657), and whether a challenge gets in."""

import pytest

from chronos_ops.connectors.names import Caa
from chronos_ops.facts.certbot import ChallengePort
from chronos_ops.hardening.dns_checks import caa_permits, issuer, judge_free, judge_way_in
from chronos_ops.model.finding import Status
from chronos_ops.model.hardening import Certificate

LE = "letsencrypt.org"


def record(tag: str, value: str, *, critical: bool = False) -> Caa:
    return Caa(critical, tag, value)


@pytest.mark.parametrize(
    ("records", "name", "permitted"),
    [
        ([], "a.example", True),
        ([record("issue", LE)], "a.example", True),
        ([record("issue", "LetsEncrypt.org")], "a.example", True),
        ([record("issue", "pki.goog")], "a.example", False),
        ([record("issue", "pki.goog"), record("issue", LE)], "a.example", True),
        ([record("issue", ";")], "a.example", False),
        ([record("iodef", "mailto:a@b.example")], "a.example", True),
        ([record("issue", f"{LE}; validationmethods=dns-01")], "a.example", False),
        ([record("issue", f"{LE}; validationmethods=dns-01,http-01")], "a.example", True),
        ([record("issue", LE), record("issuewild", ";")], "*.a.example", False),
        ([record("issue", LE), record("issuewild", ";")], "a.example", True),
        ([record("issue", LE)], "*.a.example", True),
        ([record("issuewild", "pki.goog")], "a.example", True),
        ([record("issue", LE), record("tbs", "x", critical=True)], "a.example", False),
        ([record("issue", LE), record("tbs", "x")], "a.example", True),
    ],
)
def test_caa(records: list[Caa], name: str, permitted: bool) -> None:
    assert caa_permits(records, LE, name, "http-01") is permitted


def test_the_directory_is_known_by_its_name() -> None:
    assert issuer(Certificate(names=("a.example",))) == LE
    staging = "https://acme-staging-v02.api.letsencrypt.org/directory"
    assert issuer(Certificate(names=("a.example",), directory_url=staging)) == LE
    own = "https://acme.example:14000/dir"
    assert issuer(Certificate(names=("a.example",), directory_url=own)) == "acme.example"


@pytest.mark.parametrize(
    ("port", "cidrs", "status"),
    [
        ((80, 80), ["0.0.0.0/0"], Status.PASS),
        ((0, 65535), ["0.0.0.0/0"], Status.PASS),
        ((80, 80), ["203.0.113.0/24"], Status.FAIL),
        ((443, 443), ["0.0.0.0/0"], Status.FAIL),
    ],
)
def test_the_challenge_must_get_in(port: tuple[int, int], cidrs: list[str], status: Status) -> None:
    ports = [{"protocol": "tcp", "fromPort": port[0], "toPort": port[1], "cidrs": cidrs}]
    assert judge_way_in(ports).status is status
    assert judge_way_in([]).status is Status.FAIL


def test_another_listener_on_port_80_would_break_every_renewal() -> None:
    assert judge_free(ChallengePort((), "", challenge_running=False)).status is Status.PASS
    assert judge_free(ChallengePort((), "certbot", challenge_running=True)).status is Status.PASS
    assert not judge_free(ChallengePort((), "nginx", challenge_running=True)).good
    found = judge_free(ChallengePort((), "nginx", challenge_running=False))
    assert found.status is Status.FAIL
    assert "nginx" in found.hint
