"""Recovery for real, without a lab: what is refused, what is undone, what is written (D9)."""

import json
import socket
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from chronos_ops.connectors.aws import AwsRefused
from chronos_ops.drill.catalog import INDEXES
from chronos_ops.drill.recover import fence as fencing
from chronos_ops.drill.recover.alive import answers, signs_of_life
from chronos_ops.drill.recover.configuration import _judge_source
from chronos_ops.drill.recover.cut_over import refuse_damage
from chronos_ops.drill.recover.parameter_file import adopt, renamed
from chronos_ops.drill.recover.place import settings_of, successor
from chronos_ops.evidence.journal import FileJournal, read_journal
from chronos_ops.evidence.record import _unproven_teardown
from chronos_ops.execution import power
from chronos_ops.execution.deeds import Doer
from chronos_ops.execution.provision import destroy
from chronos_ops.execution.rollback import pending_resources
from chronos_ops.facts.lightsail import StaticIp
from chronos_ops.facts.postgres import Cluster
from chronos_ops.model.errors import (
    ChronosError,
    Refused,
    TransportError,
    UnreadableAnswer,
    UsageError,
)
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.plan import DestroyInstance, LeadStaticIp, ReviveKey
from chronos_ops.model.question import AwsQuestion
from chronos_ops.model.settings import load_settings

EXAMPLE = Path(__file__).resolve().parents[2] / "parameters" / "production.example.yaml"
RUN = "20261123T090000Z-drill-abcdef"
_AT = "2026-11-23T09:00:00+00:00"


class Account:
    """A Lightsail account with instances and one static address; and an IAM user's keys."""

    def __init__(self, instances: dict[str, dict[str, str]], attached: str = "") -> None:
        self.instances, self.attached = instances, attached
        self.states = dict.fromkeys(instances, "running")
        self.keys = {"AKIAXXXXXXXX111111": "Inactive", "AKIAXXXXXXXX222222": "Inactive"}
        self.journal = None
        self.called: list[str] = []

    def ask(self, question: Any) -> Any:
        if question.operation == "get_static_ips":
            item = {"name": "ip", "ipAddress": "192.0.2.1", "isAttached": bool(self.attached)}
            return {"staticIps": [item | {"attachedTo": self.attached}]}
        name = question.arguments["instanceName"]
        if name not in self.instances:
            return None
        tags = [{"key": k, "value": v} for k, v in self.instances[name].items()]
        return {
            "instance": {
                "name": name,
                "state": {"name": self.states[name]},
                "createdAt": _AT,
                "tags": tags,
                "location": {"availabilityZone": "ca-central-1a"},
                "isStaticIp": name == self.attached,
            }
        }

    def call(self, service: str, operation: str, **given: Any) -> dict[str, Any]:
        self.called.append(operation)
        match operation:
            case "detach_static_ip":
                self.attached = ""
            case "attach_static_ip":
                assert not self.attached
                self.attached = given["instanceName"]
            case "start_instance" | "stop_instance":
                done = {"start_instance": "running", "stop_instance": "stopped"}[operation]
                tagged = "chronos:run" in self.instances[given["instanceName"]]
                if operation == "stop_instance" and not tagged:
                    raise AwsRefused("stop", "AccessDenied", "only what carries the tag")
                self.states[given["instanceName"]] = done
            case "tag_resource":
                tags = {tag["key"]: tag["value"] for tag in given["tags"]}
                self.instances[given["resourceName"]] |= tags
            case "untag_resource":
                for key in given["tagKeys"]:
                    del self.instances[given["resourceName"]][key]
            case "list_access_keys":
                return {"AccessKeyMetadata": [{"AccessKeyId": key} for key in self.keys]}
            case "update_access_key":
                self.keys[given["AccessKeyId"]] = given["Status"]
            case _:
                raise AssertionError(operation)
        return {}


@pytest.mark.parametrize(
    ("inside", "state", "said"),
    [
        (None, "running", "db runs, as Lightsail says"),  # our own network may be the one down
        (None, "stopped", ""),
        (None, "gone", ""),
        ([], "running", ""),  # it lets us in, and has no cluster that is online
        (["online"], "running", "17/main is online"),
    ],
)
def test_what_cannot_be_reached_and_runs_is_no_dead_host(
    inside: list[str] | None, state: str, said: str
) -> None:
    account = Account({"db": {}} if state != "gone" else {})
    account.states["db"] = state
    host = SimpleNamespace(address="192.0.2.1", instance="db")
    postgres = SimpleNamespace(port=5432, connect="tunnel", cluster="main")

    def ask(fact: Any) -> Any:
        if isinstance(fact.question, AwsQuestion):
            return fact.parse(account.ask(fact.question))
        if inside is None:
            raise TransportError("no way in", "192.0.2.1")
        return [Cluster("17", "main", 5432, status, "postgres", "/data") for status in inside]

    context = SimpleNamespace(
        settings=SimpleNamespace(host=host, postgres=postgres),
        ask=ask,
        ssh=SimpleNamespace(address=host),
    )
    host.host = "192.0.2.1"
    found = signs_of_life(context, looks=1)  # type: ignore[arg-type]
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"mode": "recover"}, "needs lost_instance"),
        ({"mode": "recover", "lost_instance": "db", "scenario": "table_dropped"}, "no scenario"),
        ({"lost_instance": "db"}, "are for mode recover"),
        ({"although_alive": True}, "are for mode recover"),
        ({"although_findings": True}, "are for mode recover"),
        ({"mode": "recovery"}, "'drill' or 'recover'"),
        ({"mode": "recover", "lost_instance": "db", "repeat": 2}, "not mode recover"),
    ],
)
def test_a_typo_gives_nothing_up(given: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_parameters("disaster_recovery", given)


def test_only_a_recovery_begins_without_the_host() -> None:
    given = {"mode": "recover", "lost_instance": "db"}
    assert not parse_parameters("disaster_recovery", given).reaches_target
    assert parse_parameters("disaster_recovery", {}).reaches_target


def test_an_open_port_is_a_sign_of_life() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert answers("127.0.0.1", port)
    assert not answers("127.0.0.1", port)


# -- addresses and instances


def test_the_address_is_led_only_away_from_this_runs_own_host() -> None:
    own, stranger = {"chronos:run": RUN}, {"chronos:recovered-from": "lost"}
    account: Any = Account({"lost": {}, "new": own}, attached="new")
    power.lead(account, "ip", "lost", RUN)
    assert account.attached == "lost"
    account.called.clear()
    power.lead(account, "ip", "lost", RUN)  # a teardown that is tried again
    assert account.called == []
    account = Account({"lost": {}, "new": stranger}, attached="new")
    with pytest.raises(Refused, match="leads to new, not of run"):
        power.lead(account, "ip", "lost", RUN)
    assert account.attached == "new"
    account = Account({"new": own}, attached="new")
    power.lead(account, "ip", "lost", RUN)  # the lost one is gone: to nobody
    assert account.attached == ""


def test_a_lost_host_is_stopped_although_policy_protects_it_and_no_reaper_takes_it() -> None:
    account: Any = Account({"lost": {}})
    assert power.stop_instance(account, "lost") == "stopped"
    assert account.instances["lost"] == {}
    assert account.called == ["tag_resource", "stop_instance", "untag_resource"]
    power.start_instance(account, "lost")
    assert account.states["lost"] == "running"
    account.called.clear()
    power.start_instance(account, "lost")
    assert power.stop_instance(account, "gone") == "gone"
    power.start_instance(account, "gone")
    assert account.called == []


def test_a_host_that_serves_at_a_static_address_is_never_destroyed() -> None:
    account: Any = Account({"new": {"chronos:run": RUN}}, attached="new")
    with pytest.raises(Refused, match="is no drill host"):
        destroy(account, "new", RUN)
    assert account.called == []


def test_keys_come_back_by_the_end_of_their_id() -> None:
    account: Any = Account({})
    Doer(account, None, lambda _secret: None).do(ReviveKey(user="host", ending="222222"))
    assert list(account.keys.values()) == ["Inactive", "Active"]


def test_a_run_that_was_cut_short_finds_its_host_and_no_stranger() -> None:
    settings = load_settings("production", _as_target(EXAMPLE.read_text()))
    lost = settings.host.instance

    def seen(tags: dict[str, str], holder: str) -> str:
        account: Any = Account({"new": tags, lost: {}})
        context: Any = SimpleNamespace(
            settings=settings, ask=lambda fact: fact.parse(account.ask(fact.question))
        )
        return successor(context, StaticIp("ip", settings.host.address, holder))

    assert seen({}, "") == seen({}, lost) == ""
    assert seen({"chronos:recovered-from": lost}, "new") == "new"
    for tags in ({}, {"chronos:recovered-from": "another"}):
        with pytest.raises(UsageError, match="leads to another instance"):
            seen(tags, "new")


# -- the fence


class Fenced(Account):
    """As Account, with the firewall of its instances; whoever runs behind an open one answers."""

    def __init__(self, *, stops: bool = True) -> None:
        super().__init__({"project-chronos": {}}, attached="project-chronos")
        self.stops = stops
        self.keys = {"AKIAXXXXXXXX111111": "Active", "AKIAXXXXXXXX222222": "Inactive"}
        self.ports = [{"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrs": ["0.0.0.0/0"]}]

    def ask(self, question: Any) -> Any:
        if question.operation == "get_instance_port_states":
            return {"portStates": self.ports}
        if question.operation == "list_access_keys":
            keys = self.keys if question.arguments["UserName"] == "chronos-backup-host" else {}
            found = [{"AccessKeyId": key, "Status": status} for key, status in keys.items()]
            return {"AccessKeyMetadata": found}
        return super().ask(question)

    def call(self, service: str, operation: str, **given: Any) -> dict[str, Any]:
        if operation == "put_instance_public_ports":
            self.called.append(operation)
            self.ports = given["portInfos"]
            return {}
        if operation == "stop_instance" and not self.stops:
            self.called.append(operation)
            return {}
        return super().call(service, operation, **given)

    def get_secret(self, name: str) -> Any:
        raise UsageError("no such secret in the Parameter Store", name)


def _run_on(account: Any, folder: Path) -> Any:
    return SimpleNamespace(
        run_id=RUN,
        settings=load_settings("production", _as_target(EXAMPLE.read_text())),
        aws=account,
        journal=FileJournal(folder),
        say=lambda _line: None,
        ask=lambda fact: fact.parse(account.ask(fact.question)),
    )


def test_the_fence_is_written_down_first_stops_then_revokes_and_comes_down_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account: Any = Fenced()
    before = account.ports, dict(account.keys)
    monkeypatch.setattr(fencing, "answers", lambda _host, _port: False)
    context = _run_on(account, tmp_path)
    outcome = fencing.fence(context, StaticIp("ip", "192.0.2.1", "project-chronos"))
    assert account.called == [
        "put_instance_public_ports",
        "tag_resource",
        "stop_instance",  # before the key goes: a host that lives archives its last segment
        "untag_resource",
        "update_access_key",
    ]
    assert set(account.keys.values()) == {"Inactive"}
    assert [p["fromPort"] for p in account.ports] == [22]
    judged = {f.id: f.status for f in outcome.findings}
    assert judged["recover.fence.instance"] is judged["recover.fence.silent"] is Status.PASS
    assert judged["recover.fence.key"] is Status.UNKNOWN  # no key was there to be tried
    text = (tmp_path / "journal.jsonl").read_text()
    assert '"event":"resource"' in text.splitlines()[0]
    assert "AKIA" not in text
    ((name, undo),) = pending_resources(tmp_path)
    assert name == fencing.resource("project-chronos")
    doer = Doer(account, None, lambda _secret: None)
    for deed in undo:
        doer.do(deed)
    assert account.states["project-chronos"] == "running"
    assert account.keys == before[1]  # the one that was revoked before stays so
    assert [p["cidrs"] for p in account.ports] == [["0.0.0.0/0"]]


def test_a_fence_that_does_not_hold_ends_the_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fencing, "answers", lambda _host, port: bool(port == 5432))
    context = _run_on(Fenced(), tmp_path)
    with pytest.raises(Refused, match="is not fenced") as error:
        fencing.fence(context, StaticIp("ip", "192.0.2.1", "project-chronos"))
    assert "answers" in error.value.text()
    monkeypatch.setattr(power, "STOP_SECONDS", 0.1)
    with pytest.raises(ChronosError, match="in vain until project-chronos has stopped"):
        fencing.fence(_run_on(Fenced(stops=False), tmp_path), StaticIp("ip", "192.0.2.1", ""))


# -- the journal


def test_what_is_kept_is_undone_by_no_teardown(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.resource("lightsail:instance/new", (DestroyInstance(name="new", run_id=RUN),))
    journal.resource("lightsail:static-ip/ip", (LeadStaticIp(name="ip", instance="", run_id=RUN),))
    journal.resource("iam:user/reader", ())
    assert len(_unproven_teardown(read_journal(tmp_path))) == 3
    journal.kept(("lightsail:instance/new", "lightsail:static-ip/ip"), "it is production")
    assert [name for name, _ in pending_resources(tmp_path)] == ["iam:user/reader"]
    (left,) = _unproven_teardown(read_journal(tmp_path))
    assert "iam:user/reader" in left[1]


# -- the cut-over


def test_a_copy_in_which_a_check_failed_is_not_served() -> None:
    def found(status: Status, name: str = "x") -> Finding:
        return Finding(id=name, title="t", status=status, observed="o", expected="e")

    good, unknown = found(Status.PASS), found(Status.UNKNOWN)
    refuse_damage([good], accepted=False)
    with pytest.raises(Refused, match="did not pass its checks"):
        refuse_damage([good, unknown], accepted=False)
    refuse_damage([good, unknown], accepted=True)
    refuse_damage([good, found(Status.FAIL, INDEXES)], accepted=False)  # so it was at the source
    with pytest.raises(Refused, match="did not pass its checks"):
        refuse_damage([good, found(Status.ERROR, INDEXES)], accepted=False)


@pytest.mark.parametrize(
    ("said", "good"),
    [
        ("configuration: from the backup\nactive\n", True),
        ("configuration: done before\n", True),
        ("configuration: supplied\n", False),
    ],
)
def test_a_configuration_that_was_not_in_the_backup_is_a_finding(said: str, good: bool) -> None:
    assert _judge_source(said).good is good


def test_substitutes_are_named_and_silence_is_no_answer() -> None:
    said = "configuration: from the backup\nmissing: ssl_cert_file /etc/ssl/corp.pem\n"
    assert "/etc/ssl/corp.pem" in _judge_source(said).observed
    with pytest.raises(UnreadableAnswer):
        _judge_source("active\n")


# -- the parameter file


def _as_target(text: str, folder: Path | None = None) -> Path:
    folder = folder or Path(tempfile.mkdtemp())
    (folder / "production.yaml").write_text(text)
    return folder


def test_the_parameter_file_changes_by_one_line_and_keeps_its_comments(tmp_path: Path) -> None:
    folder = _as_target(EXAMPLE.read_text(), tmp_path)
    (tmp_path / "production.yaml").chmod(0o640)
    settings = settings_of(load_settings("production", folder), "production-new", "admin")
    diff = adopt(settings, folder)
    changed = [line for line in diff.splitlines() if line[0] in "+-"]
    assert len(changed) == 2, diff
    assert changed[1].startswith("+  instance: production-new # Lightsail instance")
    assert load_settings("production", folder).host == settings.host
    assert (tmp_path / "production.yaml").stat().st_mode & 0o777 == 0o640
    assert adopt(settings, folder) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["production.yaml"]


def test_names_elsewhere_in_the_file_stay_and_a_pinned_file_goes() -> None:
    text = (
        "host:\n  instance: 'db'\n  user: admin # sudo\n  known_hosts_file: ~/known\n"
        "drill:\n  user: admin\n  instance: x\n"
    )
    assert renamed(text, "new", "ubuntu") == (
        "host:\n  instance: new\n  user: ubuntu # sudo\n  # known_hosts_file: ~/known\n"
        "drill:\n  user: admin\n  instance: x\n"
    )


def test_a_file_of_another_shape_is_left_alone(tmp_path: Path) -> None:
    data = yaml.safe_load(EXAMPLE.read_text())
    host = json.dumps(data.pop("host"))
    text = f"host: {host}\n" + yaml.safe_dump(data)
    folder = _as_target(text, tmp_path)
    settings = settings_of(load_settings("production", folder), "production-new", "admin")
    with pytest.raises(ChronosError, match="names the lost host still") as error:
        adopt(settings, folder)
    assert "host.instance: production-new" in error.value.hint
    assert (tmp_path / "production.yaml").read_text() == text
