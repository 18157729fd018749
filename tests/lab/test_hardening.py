"""The hardening runbook on a host as Lightsail hands it out: whole, then nothing left to do, then
the same after a reboot. The host is this module's own; so is its target, with backups in place."""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops import runner
from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.manifest import differences
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.facts import systemd
from chronos_ops.hardening import judges, lynis, nmap, session, ssh_audit
from chronos_ops.hardening.jails import judge_jails
from chronos_ops.hardening.outside import QUICK, port_findings
from chronos_ops.lab import acme, control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.finding import Status
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import load_settings, parameters_dir
from chronos_ops.plans import backup, hardening
from chronos_ops.runbook_stage import carry_out, make_plan
from tests.lab.conftest import LAB
from tests.lab.waiting import until

pytestmark = [pytest.mark.lab, pytest.mark.destructive]
RUNBOOK = "security_hardening"
HOST = "hardened"
NAME = "hardened.example"
TARGET = f"{LAB}-hardened"


@dataclass
class Target:
    """The host with its backups, and a context for single stages and steps."""

    lab: LabStatus
    context: Context

    def sh(self, command: str, *, check: bool = True) -> str:
        accept = (0,) if check else range(256)
        answer = self.context.ssh.run(["sh", "-c", command], sudo=True, accept=accept)
        return answer.stdout + answer.stderr

    def traces(self) -> dict[str, Any]:
        """All that the runbook could have touched."""
        aws = self.context.aws
        look = (
            "find /etc /usr/local /opt /var/lib/postgresql/*/main/postmaster.pid /var/spool/cron "
            "-type f -exec stat -c '%n %a %U %Y %s' {} + | sort; dpkg-query -W; nft list ruleset; "
            "systemctl list-unit-files --no-pager; sysctl -a 2>/dev/null | grep -v -e random "
            "-e nr_ -e '^fs\\.' -e '^kernel.ns_last_pid' -e '^kernel.pty'"
        )
        ports = aws.call("lightsail", "get_instance_port_states", instanceName=HOST)
        return {
            "host": self.sh(look).splitlines(),
            "roles": self.context.ssh.sql("TABLE pg_roles").stdout,
            "settings": self.context.ssh.sql("SELECT name, setting FROM pg_settings").stdout,
            "ports": sorted(json.dumps(p, sort_keys=True) for p in ports["portStates"]),
            "users": sorted(u["UserName"] for u in aws.call("iam", "list_users")["Users"]),
            "secrets": sorted(
                p["Name"] for p in aws.call("ssm", "describe_parameters")["Parameters"]
            ),
        }


def bad(outcome: Outcome) -> dict[str, str]:
    return {f.id: f.observed for f in outcome.findings if not f.good}


def changes(result: Result, kind: str) -> dict[str, int]:
    return {
        k.removeprefix("changes."): v[kind]
        for k, v in result.measures.items()
        if k.startswith("changes.") and v[kind]
    }


@pytest.fixture(scope="module")
def target(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A second declared host of the lab, with PostgreSQL and backups of its own."""
    host = control.request(
        lab.name,
        "create",
        name=HOST,
        image="db",
        memory_bytes=2 * 1024**3,
        disk_bytes=20 * 1024**3,
        user_data=control._MAKE_CLUSTER,
        bundle="small_3_0",
        blueprint="debian_13",
    )
    folder = tmp_path_factory.mktemp("hardened")
    path = parameters_dir() / f"{TARGET}.yaml"
    path.write_text(yaml.safe_dump(_declared(lab.name, host, folder)))
    path.chmod(0o600)
    answers = acme.describe(lab.user_dir, lab.gateway)
    _name(answers, host["address"])
    settings = load_settings(TARGET)
    journal = FileJournal(folder, Redactor())
    aws = Aws(settings.aws, journal)
    context = Context(
        run_id=folder.name,
        folder=folder,
        settings=settings,
        parameters=parse_parameters(RUNBOOK, {"target": TARGET, "allow_restart": True}),
        journal=journal,
        aws=aws,
        ssh=Ssh(declared_host(settings, aws), journal),
    )
    found = Target(lab, context)
    until(lambda: "online" in found.sh("pg_lsclusters", check=False), "PostgreSQL runs")
    for stage in backup.STAGES:
        carry_out(stage, context, lambda _plan, _diff: None)
    yield found
    context.close()
    path.unlink()
    shutil.rmtree(outputs_dir() / TARGET, ignore_errors=True)
    control.request(lab.name, "delete", name=HOST)


def _declared(lab: str, host: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The lab's own target, but for the host and for what only one host can have."""
    data: dict[str, Any] = yaml.safe_load((parameters_dir() / f"{lab}.yaml").read_text())
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("".join(f"{host['address']} {key}\n" for key in host["host_keys"]))
    data["target"] = TARGET
    data["host"] |= {
        "instance": HOST,
        "address": host["address"],
        "known_hosts_file": str(known_hosts),
    }
    data["postgres"]["operator_password_secret"] = "/chronos/hardened/operator"
    data["backup"] |= {
        "bucket": "project-chronos-hardened",
        "stanza": "hardened",
        "host_iam_user": "chronos-hardened-host",
        "cipher_secret": "/chronos/hardened/cipher",
        "host_key_secret": "/chronos/hardened/key",
        "long_term": None,
    }
    data["hardening"]["certificate"]["names"] = [NAME]
    return data


def _name(answers: acme.LabAcme, address: str) -> None:
    body = json.dumps({"host": f"{NAME}.", "addresses": [address]}).encode()
    request = urllib.request.Request(f"{answers.names_url}/add-a", body)  # noqa: S310 - the lab's
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310


@pytest.fixture(scope="module")
def hardened(target: Target) -> Result:
    """The dry run, which touches nothing; then the whole runbook, headlessly."""
    before = target.traces()
    planned = runner.run(RUNBOOK, TARGET, {"judges": "false"}, plan=True)
    assert planned.verdict is Verdict.PLANNED, planned.reasons
    assert target.traces() == before
    assert changes(planned, "applied") == {}
    assert {"ssh", "host-firewall", "baseline"} <= set(changes(planned, "planned"))
    done = runner.run(RUNBOOK, TARGET, {"allow_restart": "true"}, approve=TARGET)
    assert done.verdict is Verdict.PASSED, done.reasons
    assert changes(done, "planned") == changes(done, "applied")
    return done


def test_the_runbook_passes_and_every_proof_is_there(hardened: Result) -> None:
    by_id = {finding.id: finding for finding in hardened.findings}
    assert all(finding.good for finding in hardened.findings)
    for proven in (
        "outside.ipv4.declared-ports",
        "outside.ipv4.nothing-else",
        "outside.udp.nothing",
        "bans.sshd.dropped",
        "bans.sshd.timed-unban",
        "bans.postgresql.dropped",
        "judge.ssh-audit",
        "judge.sslyze",
        "judge.lynis",
        "still-working.backup",
        "still-working.wal",
        "still-working.updates",
        "still-working.acme",
        "certificate.renewal",
        "certificate.served.postgres",
        "database.verified",
        "database.refused.plain",
    ):
        assert by_id[proven].status is Status.PASS, by_id[proven]
    controls = [f for f in hardened.findings if f.id.startswith("audit.")]
    assert sum(f.status is Status.PASS for f in controls) >= 60
    folder = outputs_dir() / TARGET / hardened.run_id
    assert differences(folder) == []
    assert "Controls not passed" in (folder / "charts/controls.svg").read_text()


@pytest.mark.usefixtures("hardened")
def test_a_second_look_finds_nothing_to_do(target: Target) -> None:
    for stage in hardening.STAGES:
        plan = make_plan(stage, target.context)
        assert plan.empty, (stage.name, [c.title for c in plan.changes])
        assert plan.noop_reason, stage.name
        assert not plan.refusals, stage.name


@pytest.mark.usefixtures("hardened")
def test_the_judges_leave_nothing_behind(target: Target) -> None:
    assert "lynis" not in target.sh("dpkg-query -W -f '${Package}\\n'")
    assert target.sh(f"ls -d {lynis.FOLDER} /run/lynis.pid 2>/dev/null", check=False) == ""


@pytest.mark.usefixtures("hardened")
def test_after_a_reboot_everything_still_holds(target: Target) -> None:
    boots = control.request(target.lab.name, "info", name=HOST)["boots"]
    target.context.ssh.close()
    control.request(target.lab.name, "reboot", name=HOST)
    assert control.request(target.lab.name, "info", name=HOST)["boots"] == boots + 1
    context = target.context
    until(
        lambda: "online" in target.sh("pg_lsclusters", check=False),
        "PostgreSQL runs after the reboot",
        60,
    )
    until(
        lambda: "running" in target.sh("systemctl is-system-running", check=False),
        "the host has booted",
        60,
    )
    scan = nmap.scan(context, context.settings.host.address, QUICK, log="after-reboot.log")
    assert [f for f in port_findings(context.settings, "ipv4", scan) if not f.good] == []
    assert scan.having("open") == [22, 5432]
    assert bad(session.outside_logins(context)) == {}
    assert bad(session.outside_database(context)) == {}
    assert bad(session.served_certificate(context)) == {}
    assert [f for f in judge_jails(context) if not f.good] == []
    timers = ("certbot.timer", "apt-daily-upgrade.timer", "chronos-backup-diff.timer")
    units = context.ask(systemd.units(*timers, "ufw.service", "fail2ban.service"))
    assert {name: unit.active for name, unit in units.items()} == dict.fromkeys(units, "active")
    assert bad(session.audit_after(context)) == {}
    for stage in hardening.STAGES:
        plan = make_plan(stage, context)
        assert plan.empty, (stage.name, [c.title for c in plan.changes])


@pytest.mark.usefixtures("hardened")
def test_a_judge_notices_what_is_offered_again(target: Target) -> None:
    """An old key exchange comes back; and the next run's first stage would take it away."""
    drop_in = "/etc/ssh/sshd_config.d/00-chronos.conf"
    weak = f"sed -i 's/^KexAlgorithms .*/&,ecdh-sha2-nistp256/' {drop_in} && systemctl reload ssh"
    target.sh(f"cp -p {drop_in} /root/kept && {weak}")
    try:
        finding = judges.judged("ssh-audit", ssh_audit.audit(target.context))
        assert not make_plan(hardening.SSH, target.context).empty
    finally:
        target.sh(f"mv /root/kept {drop_in} && systemctl reload ssh")
    assert finding.status is Status.FAIL
    assert "ecdh-sha2-nistp256" in finding.observed
