"""Both firewalls and the lock-out guard on a real host: what shuts the operator out is taken back.

One host of its own, in order: each fault leaves it as it was.
"""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors import ssh as ssh_connector
from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.execution.apply import apply
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.execution.guard import Guard, leftovers
from chronos_ops.execution.rollback import pending_resources, rollback
from chronos_ops.hardening.firewalls import firewalls
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import ChronosError, Refused, TransportError
from chronos_ops.model.hardening import Firewall
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.plan import Change, Plan, RemoveFile, RunCommand, WriteFile
from chronos_ops.model.settings import Settings, load_settings, parse_settings
from chronos_ops.plans import lightsail_ports
from chronos_ops.plans.lightsail_ports import LIGHTSAIL_FIREWALL
from chronos_ops.plans.ufw import HOST_FIREWALL
from chronos_ops.runbook_stage import carry_out, make_plan, plan_text
from tests.lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.destructive]
HOST = "guarded"
_FOREIGN = "ufw allow 22/tcp; ufw limit 2222/tcp comment 'old'; ufw allow in from fd00::/8"
_PUBLISH = "iptables -t nat -A DOCKER -p tcp --dport 8443 -j DNAT --to 172.17.0.2:443"
_DROP_IN = "/etc/ssh/sshd_config.d/00-fault.conf"
_RELOAD = RunCommand(argv=("sh", "-c", "sshd -t && systemctl reload ssh.service"))
_TRACES = "ls -A /var/lib/chronos-ops/guard 2>/dev/null; ls /etc/systemd/system | grep guard; true"


@pytest.fixture(scope="module")
def guarded(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A context of a host of its own; the guard waits 10 s, a connection 1.5 s."""
    patch = pytest.MonkeyPatch()
    patch.setattr(ssh_connector, "CONNECT_SECONDS", 1.5)
    patch.setattr(lightsail_ports, "IN_FORCE_SECONDS", 0.2)  # the lab's is in force at once
    host = control.request(
        lab.name, "create", name=HOST, memory_bytes=512 * 1024**2, disk_bytes=8 * 1024**3
    )
    folder = tmp_path_factory.mktemp("guarded")
    settings = _settings(load_settings(lab.name), host, folder)
    journal = FileJournal(folder)
    aws = Aws(settings.aws, journal)
    context = Context(
        run_id=folder.name,
        folder=folder,
        settings=settings,
        parameters=parse_parameters("security_hardening", {"target": lab.name}),
        journal=journal,
        aws=aws,
        ssh=Ssh(declared_host(settings, aws), journal),
    )
    given = {"settings": settings.model_dump(mode="json")}
    (folder / "parameters.json").write_text(json.dumps(given))
    yield context
    context.close()
    control.request(lab.name, "delete", name=HOST)
    patch.undo()


def _settings(settings: Settings, host: dict[str, Any], folder: Path) -> Settings:
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("".join(f"{host['address']} {key}\n" for key in host["host_keys"]))
    here = {
        "instance": HOST,
        "address": host["address"],
        "known_hosts_file": str(known_hosts),
    }
    hardening = settings.hardening.model_copy(update={"guard_seconds": 10})
    return settings.model_copy(
        update={"host": settings.host.model_copy(update=here), "hardening": hardening}
    )


def sh(context: Context, command: str) -> str:
    answer = context.ssh.run(["sh", "-c", command], sudo=True, accept=range(256))
    return answer.stdout + answer.stderr


def declaring(context: Context, **firewall: Any) -> Context:
    """The context with another firewall declared."""
    hardening = context.settings.hardening.model_copy(update={"firewall": Firewall(**firewall)})
    return replace(context, settings=context.settings.model_copy(update={"hardening": hardening}))


def agreed(_plan: Plan, _diff: str) -> None:
    pass


def settle(context: Context) -> int:
    """Both firewalls as declared; how many changes that took."""
    found = 0
    for stage in (HOST_FIREWALL, LIGHTSAIL_FIREWALL):
        outcome = carry_out(stage, context, agreed)
        assert all(f.good for f in outcome.findings), outcome.findings
        found += next(iter(outcome.measures.values()))["applied"]
    return found


def bad(outcome: Outcome) -> dict[str, str]:
    return {f.id: f.observed for f in outcome.findings if not f.good}


def a_new_connection_works(context: Context) -> bool:
    with Ssh(context.ssh.address) as fresh:
        return fresh.run(["true"], sudo=True).exit_code == 0


def nothing_is_left(context: Context) -> bool:
    return sh(context, _TRACES).split() == [".lock"] and pending_resources(context.folder) == []


def bad_users() -> Plan:
    """What sshd accepts, and what shuts the operator out."""
    change = Change(
        id="fault.users",
        title="admit nobody",
        why="a fault",
        deeds=(WriteFile(path=_DROP_IN, content="AllowUsers nobody\n"), _RELOAD),
        undo=(RemoveFile(path=_DROP_IN), _RELOAD),
        guard=True,
    )
    return Plan(name="fault", changes=(change,))


# -- shut out, and let in again


def test_a_bad_allow_users_is_taken_back(guarded: Context) -> None:
    with pytest.raises(ChronosError, match="locked the operator out: admit nobody") as caught:
        apply(bad_users(), guarded)
    assert caught.value.exit_status == 1
    assert "refuses the key" in str(caught.value)
    assert a_new_connection_works(guarded)
    assert "nobody" not in sh(guarded, f"sshd -T; ls {_DROP_IN}").replace("nobody:", "")
    assert nothing_is_left(guarded)


def test_what_sshd_would_not_start_with_is_taken_back(guarded: Context) -> None:
    (change,) = bad_users().changes
    broken = WriteFile(path=_DROP_IN, content="Nonsense yes\n")
    change = change.model_copy(update={"deeds": (broken, _RELOAD)})
    with pytest.raises(ChronosError, match="taken back, all is as it was") as caught:
        apply(Plan(name="fault", changes=(change,)), guarded)
    assert "Bad configuration option: Nonsense" in str(caught.value)
    assert "No such file" in sh(guarded, f"ls {_DROP_IN}")
    assert nothing_is_left(guarded)


def test_a_firewall_for_ipv6_only_is_taken_back(guarded: Context) -> None:
    """To what was there before: rules of another hand, active."""
    sh(guarded, f"{_FOREIGN}; ufw --force enable")
    before = sh(guarded, "ufw show added; ufw status")
    wrong = declaring(guarded, ssh_networks=("::/0",))
    with pytest.raises(ChronosError, match="would have locked the operator out"):
        carry_out(HOST_FIREWALL, wrong, agreed)
    assert a_new_connection_works(guarded)
    assert sh(guarded, "ufw show added; ufw status") == before
    assert nothing_is_left(guarded)


def test_lightsail_s_list_without_22_is_taken_back_from_here(guarded: Context) -> None:
    before = ports_of(guarded)
    wrong = declaring(guarded, ssh_networks=("192.0.2.0/24",))
    with pytest.raises(ChronosError, match="would have locked the operator out"):
        carry_out(LIGHTSAIL_FIREWALL, wrong, agreed)
    assert a_new_connection_works(guarded)
    assert ports_of(guarded) == before
    assert nothing_is_left(guarded)


def ports_of(context: Context) -> Any:
    answer = context.aws.call("lightsail", "get_instance_port_states", instanceName=HOST)
    return sorted((p["fromPort"], p["cidrs"], p["ipv6Cidrs"]) for p in answer["portStates"])


# -- nobody is there to take it back

_RUNNER = """
import json, pathlib, signal, sys
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.execution import guard
from tests.lab.test_hardening_firewall import apply, bad_users, context_of
context = context_of(pathlib.Path(sys.argv[1]), sys.argv[2])
guard.Guard.confirm = lambda self: (print("applied", flush=True), signal.pause())
apply(bad_users(), context)
"""


def context_of(folder: Path, run_id: str) -> Context:
    """As a runner in another process has it."""
    data = json.loads((folder / "parameters.json").read_text())
    settings = parse_settings(data["settings"])
    journal = FileJournal(folder)
    aws = Aws(settings.aws, journal)
    nothing: Any = None
    ssh = Ssh(declared_host(settings, aws), journal)
    return Context(run_id, folder, settings, nothing, journal, aws, ssh)


def killed_runner(context: Context, run_id: str) -> None:
    """A runner that dies by SIGKILL between its change and the confirmation."""
    argv = [sys.executable, "-c", _RUNNER, str(context.folder), run_id]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "applied\n"
        runner.send_signal(signal.SIGKILL)


def test_a_killed_runner_s_change_goes_by_itself_and_the_next_run_says_so(
    guarded: Context,
) -> None:
    killed_runner(guarded, "killed")
    with pytest.raises(Refused, match="guard of another run is armed"):
        leftovers(guarded.ssh)
    with pytest.raises(Refused, match="another guard is armed"):
        Guard("other", list(bad_users().changes), guarded, guarded.ssh).arm()
    assert "AllowUsers" in sh(guarded, f"cat {_DROP_IN}")
    until(
        lambda: "reverted" in sh(guarded, "ls /var/lib/chronos-ops/guard/*"),
        "the guard took it back",
    )
    assert a_new_connection_works(guarded)
    assert leftovers(guarded.ssh) == [
        "an earlier run's change was not confirmed and the host took it back (killed-fault)"
    ]
    assert rollback(guarded.folder, guarded.journal) == ["guard:killed-fault"]  # it is gone: fine
    assert nothing_is_left(guarded)


def test_the_teardown_of_a_killed_run_takes_it_back_at_once(guarded: Context) -> None:
    killed_runner(guarded, "reaped")
    sh(guarded, f"sed -i s/nobody/{guarded.ssh.address.user}/ {_DROP_IN}; systemctl reload ssh")
    assert rollback(guarded.folder, guarded.journal) == ["guard:reaped-fault"]
    assert "No such file" in sh(guarded, f"ls {_DROP_IN}")
    assert nothing_is_left(guarded)


def test_a_reboot_in_between_takes_it_back(guarded: Context, lab: LabStatus) -> None:
    """A firewall without port 22: the timer does not survive the reboot, the unit on disk does."""
    before = sh(guarded, "ufw show added; ufw status")
    wrong = declaring(guarded, ssh_networks=())
    plan = make_plan(HOST_FIREWALL, wrong)
    patient = wrong.settings.hardening.model_copy(update={"guard_seconds": 600})
    slow = replace(wrong, settings=wrong.settings.model_copy(update={"hardening": patient}))
    guard = Guard(plan.name, list(plan.changes), slow, slow.ssh)
    guard.arm()
    for change in plan.changes:
        apply(Plan(name="unguarded", changes=(change.model_copy(update={"guard": False}),)), slow)
    guarded.ssh.close()
    with pytest.raises(ChronosError):
        a_new_connection_works(guarded)
    control.request(lab.name, "reboot", name=HOST)
    until(lambda: _connects(guarded), "the host lets us in")
    until(
        lambda: "reverted" in sh(guarded, "ls /var/lib/chronos-ops/guard/*"),
        "the guard took it back",
    )
    assert sh(guarded, "ufw show added; ufw status") == before
    (told,) = leftovers(guarded.ssh)
    assert "the host took it back" in told
    rollback(guarded.folder, guarded.journal)
    assert nothing_is_left(guarded)


def _connects(context: Context) -> bool:
    try:
        return a_new_connection_works(context)
    except ChronosError:
        return False


def test_a_confirmation_whose_answer_was_lost_stands(
    guarded: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told so: never that it was taken back."""
    send = Guard._do

    def lose(self: Guard, ssh: Ssh, script: str, seconds: float = 60) -> None:
        send(self, ssh, script, seconds)
        if 'confirmed"; sync' in script:
            raise TransportError("lost its connection")

    monkeypatch.setattr(Guard, "_do", lose)
    (change,) = bad_users().changes
    harmless = WriteFile(path=_DROP_IN, content="MaxAuthTries 5\n")
    change = change.model_copy(update={"deeds": (harmless, _RELOAD)})
    with pytest.raises(TransportError, match="was confirmed before that, and stands"):
        apply(Plan(name="fault", changes=(change,)), guarded)
    assert "MaxAuthTries 5" in sh(guarded, f"cat {_DROP_IN}; rm {_DROP_IN}; systemctl reload ssh")
    assert nothing_is_left(guarded)


# -- both firewalls


def test_both_are_set_and_a_second_look_finds_nothing(guarded: Context) -> None:
    """Rules of another hand go; both families; from outside the intersection answers."""
    before = carry_out_text(guarded)
    assert "-IPv4 limit 2222/tcp from 0.0.0.0/0  # old" in before
    assert "+5432/tcp from" in before
    assert settle(guarded) == 2
    assert settle(guarded) == 0
    assert bad(firewalls(guarded)) == {}
    assert nothing_is_left(guarded)
    host = control.request(guarded.settings.target, "info", name=HOST)
    asked = [(f, p) for f in ("v4", "v6") for p in (22, 80, 443, 2222, 5432, 8080)]
    addresses = {"v4": host["address"], "v6": host["address6"]}
    with ThreadPoolExecutor() as pool:
        said = pool.map(lambda where: _knock(addresses[where[0]], where[1]), asked)
    answers = dict(zip(asked, said, strict=True))
    assert {where for where, said in answers.items() if said == "open"} == {("v4", 22), ("v6", 22)}
    assert {where for where, said in answers.items() if said == "refused"} == {
        ("v4", 443), ("v4", 5432), ("v6", 443)
    }  # fmt: skip


def carry_out_text(context: Context) -> str:
    return "\n".join(
        plan_text(make_plan(stage, context)) for stage in (HOST_FIREWALL, LIGHTSAIL_FIREWALL)
    )


def _knock(address: str, port: int) -> str:
    try:
        with socket.create_connection((address, port), timeout=0.5):
            return "open"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "silent"


@pytest.mark.parametrize(
    ("fault", "mend", "named"),
    [
        ("ufw allow 8080/tcp", "ufw delete allow 8080/tcp", {"firewall.agree"}),
        (
            "ufw allow 80/tcp comment 'chronos-ops: ACME challenge'",
            "ufw delete allow 80/tcp",
            {"firewall.challenge-port"},
        ),
        (
            f"iptables -t nat -N DOCKER; {_PUBLISH}",
            "iptables -t nat -F DOCKER; iptables -t nat -X DOCKER",
            {"firewall.published-ports"},
        ),
        (
            "echo '# mine' >> /etc/ufw/before.rules",
            "sed -i '/^# mine/d' /etc/ufw/before.rules",
            {"firewall.framework"},
        ),
    ],
    ids=["foreign-rule", "port-80-left-open", "published-port", "framework"],
)
def test_a_fault_on_the_host_is_named(
    guarded: Context, fault: str, mend: str, named: set[str]
) -> None:
    sh(guarded, fault)
    assert set(bad(firewalls(guarded))) == named
    sh(guarded, mend)
    assert bad(firewalls(guarded)) == {}


def test_a_port_that_lightsail_alone_lets_in_is_named_and_goes(guarded: Context) -> None:
    info = {"fromPort": 9100, "toPort": 9100, "protocol": "tcp"}
    guarded.aws.call("lightsail", "open_instance_public_ports", instanceName=HOST, portInfo=info)
    assert bad(firewalls(guarded)) == {
        "firewall.agree": "9100/tcp: UFW closed, Lightsail 0.0.0.0/0, ::/0"
    }
    assert settle(guarded) == 1
    assert bad(firewalls(guarded)) == {}


def test_after_a_reboot_all_of_it_holds(guarded: Context, lab: LabStatus) -> None:
    guarded.ssh.close()
    control.request(lab.name, "reboot", name=HOST)
    assert settle(guarded) == 0
    assert bad(firewalls(guarded)) == {}
    host = control.request(lab.name, "info", name=HOST)
    assert [_knock(host[a], 8080) for a in ("address", "address6")] == ["silent", "silent"]
