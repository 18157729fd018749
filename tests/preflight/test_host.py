"""The way in, firewalls, PostgreSQL: recorded answers, and each of them wrong."""

import dataclasses
import time
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from chronos_ops import runbook_opening
from chronos_ops.connectors.aws import Aws, Identity
from chronos_ops.connectors.ssh import Ssh, SshAddress
from chronos_ops.model.errors import Refused, TransportError
from chronos_ops.model.finding import Status
from chronos_ops.model.parameters import MODELS
from chronos_ops.model.question import ShellAnswer
from chronos_ops.preflight import session
from chronos_ops.runbook_opening import reach
from tests.preflight.looking import Target, found, wrong
from tests.recorded_cases import parsed
from tests.runner.probing import settings as probe_settings

SILENT = TransportError("16.52.210.100 is not reachable", "timed out")


def host(**says: Any) -> Target:
    told = {"id": "admin\n", "sudo": "0\n", "sh": "60000000000 50000000000\n"}
    return Target(says={**told, "date": f"{time.time():.3f}", **says})


def test_a_host_as_it_must_be() -> None:
    outcome = session.host(host().context())
    assert wrong(outcome) == {}
    assert found(outcome)["host-disk"].observed == "50.0 of 60.0 GB free"


@pytest.mark.parametrize(
    ("name", "says", "status"),
    [
        ("ssh", {"id": SILENT}, Status.UNKNOWN),
        ("ssh", {"id": "root"}, Status.FAIL),
        ("sudo", {"sudo": ""}, Status.FAIL),
        ("host-disk", {"sh": "60000000000 2000000000"}, Status.FAIL),
        ("host-disk", {"sh": "600000000000 50000000000"}, Status.FAIL),
        ("host-disk", {"sh": "df: no such file"}, Status.UNKNOWN),
        ("host-clock", {"date": f"{time.time() - 900:.3f}"}, Status.FAIL),
        ("host-clock", {"date": f"{time.time() + 900:.3f}"}, Status.FAIL),
        ("host-clock", {"date": "%s"}, Status.UNKNOWN),
    ],
)
def test_each_fault_is_its_own_finding(name: str, says: dict[str, Any], status: Status) -> None:
    outcome = session.host(host(**says).context())
    assert {key: seen for key, (seen, _) in wrong(outcome).items()} == {name: status}


def test_a_release_that_nobody_tried() -> None:
    old = dataclasses.replace(parsed("os_release", "debian-12"), version_id="11")
    target = host()
    target.answers["os_release"] = old
    assert list(wrong(session.host(target.context()))) == ["release"]


def test_firewalls_agree_disagree_and_one_is_not_there_yet() -> None:
    ufw, ports = parsed("ufw", "debian-13"), parsed("lightsail_ports", "debian-13")
    told = {"ufw": ufw, "lightsail_ports": ports, "lightsail_ipv6": True}
    fresh = {**told, "ufw": parsed("ufw", "unconfigured")}
    seen = found(session.firewalls(Target(fresh).context()))
    assert seen["firewall.agree"].status is Status.NOT_APPLICABLE
    assert seen["lightsail-firewall"].status is Status.PASS
    foreign = {**told, "lightsail_ports": parsed("lightsail_ports", "unconfigured")}
    assert "firewall.agree" in wrong(session.firewalls(Target(foreign).context()))
    for lost, status in ((None, Status.UNKNOWN), ((), Status.FAIL)):
        closed = session.firewalls(Target({**fresh, "lightsail_ports": lost}).context())
        assert {n: s for n, (s, _) in wrong(closed).items()} == {"lightsail-firewall": status}
    unreadable = session.firewalls(Target({**told, "ufw": SILENT}).context())
    assert wrong(unreadable)["firewalls"][0] is Status.UNKNOWN


EXTENSIONS = {"postgres.extensions": ["pg_stat_statements", "vector"]}


def test_postgres_and_its_extensions() -> None:
    assert wrong(session.database(Target(settings=EXTENSIONS).context())) == {}
    (cluster,) = parsed("postgres_clusters", "debian-13")
    down = [dataclasses.replace(cluster, status="down")]
    outcome = session.database(Target({"postgres_clusters": down}, settings=EXTENSIONS).context())
    assert wrong(outcome)["postgres"] == (Status.FAIL, "17/main down")
    assert "systemctl start postgresql@17-main" in found(outcome)["postgres"].hint
    none = session.database(Target({"postgres_clusters": []}, settings=EXTENSIONS).context())
    assert wrong(none)["postgres"][0] is Status.FAIL


def test_an_extension_that_cannot_be_had_and_a_contained_postgres_are_refused() -> None:
    def extensions(*offered: str, **answers: Any) -> tuple[Status, str]:
        target = Target(answers, settings=EXTENSIONS, offered=offered)
        seen = found(session.database(target.context()))["extensions"]
        return seen.status, seen.observed

    assert extensions("vector") == (Status.FAIL, "the server offers no pg_stat_statements")
    listed: dict[str, str | None] = {"postgresql": "17", "pgbackrest": "2.55"}
    listed |= {"postgresql-17": "17", "postgresql-17-pgvector": "0.8"}
    bare: dict[str, Any] = {"installed_packages": {}, "apt_candidates": listed}
    status, said = extensions(**bare)
    assert (status, "to come: install postgresql-17" in said) == (Status.PASS, True)
    unlisted = extensions(**{**bare, "apt_candidates": {}})
    assert unlisted == (Status.UNKNOWN, "apt has no package lists yet")
    status, said = extensions(
        **{**bare, "apt_candidates": {**listed, "postgresql-17-pgvector": None}}
    )
    assert (status, "postgresql-17-pgvector: not in the package sources" in said) == (
        Status.FAIL,
        True,
    )
    status, said = extensions(postgres_in_container=True, postgres_clusters=[])
    assert (status, "in a container" in said) == (Status.FAIL, True)


class Host(Ssh):
    """Answers `sudo` and `date` as told."""

    told: ClassVar[dict[str, str]] = {}

    def open(self) -> None: ...

    def run(self, argv: Any, **_: Any) -> ShellAnswer:
        return ShellAnswer(0, self.told[argv[0]])


def test_every_runbook_looks_at_what_it_needs_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Aws, "identity", lambda _: Identity("1", "arn", "x"))
    address = SshAddress("127.0.0.1", 1, "x", "none")
    monkeypatch.setattr(runbook_opening, "declared_host", lambda *_: address)
    monkeypatch.setattr(runbook_opening, "Ssh", Host)
    settings = cast(Any, probe_settings())
    drill, hardening = MODELS["disaster_recovery"].needs, MODELS["security_hardening"].needs
    Host.told = {"sudo": "0", "date": f"{time.time():.3f}"}
    assert reach(settings, None, drill).identity == "arn"
    Host.told = {"sudo": "0", "date": "0"}
    assert reach(settings, None, hardening).identity == "arn"
    with pytest.raises(Refused, match="clock") as refused:
        reach(settings, None, drill)
    assert "set-ntp" in refused.value.hint
    Host.told["date"] = "soon"
    with pytest.raises(Refused, match="does not tell the time"):
        reach(settings, None, drill)
    Host.told["sudo"] = ""
    with pytest.raises(Refused, match="sudo asks for no password"):
        reach(settings, None, hardening)
    assert all(model.needs for model in MODELS.values() if model.needs_target)
