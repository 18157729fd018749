"""Recovery for real (D9): the declared host is lost, and a new one takes its place for good."""

import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops import runner
from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.postgres import PgAddress, Postgres
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.archived import switch_segment, wait_stored
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.execution.declared_host import declared_host
from chronos_ops.facts import backups, lightsail
from chronos_ops.facts.postgres import IDENTITY
from chronos_ops.lab import acme, control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import Refused, UsageError
from chronos_ops.model.finding import Status
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import load_settings
from chronos_ops.plans import backup
from chronos_ops.runbook_stage import make_plan
from tests.lab.drilling import RUNBOOK

pytestmark = [pytest.mark.lab, pytest.mark.destructive, pytest.mark.timeout(1800)]
LONG = pytest.mark.skipif(
    "CHRONOS_LONG_TESTS" not in os.environ, reason="minutes long: CHRONOS_LONG_TESTS=1 runs it"
)
LAB = f"test-{os.getpid()}-lost"
LOST = "project-chronos"


@pytest.fixture(scope="module")
def lost_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabStatus]:
    """A lab whose declared host may be lost, known by its static address as production is."""
    patch = pytest.MonkeyPatch()
    patch.setenv("CHRONOS_LAB_USER_STATE", str(tmp_path_factory.mktemp("operator")))
    patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    try:
        lab = control.up(LAB)
        data: dict[str, Any] = yaml.safe_load(lab.parameters.read_text())
        data["host"]["address"] = address = lab.host("db")["static_ip"]
        del data["host"]["known_hosts_file"]  # pinned from Lightsail
        lab.parameters.write_text(yaml.safe_dump(data, sort_keys=False))
        names = acme.describe(lab.user_dir, lab.gateway).names_url
        body = json.dumps({"ip": address}).encode()
        urllib.request.urlopen(f"{names}/set-default-ipv4", body, 10).close()  # noqa: S310
        yield lab
    finally:
        control.down(LAB)
        shutil.rmtree(outputs_dir() / LAB, ignore_errors=True)
        patch.undo()


def context_of(folder: Path) -> Context:
    """The target as its parameter file names it now."""
    settings = load_settings(LAB)
    folder.mkdir()
    journal = FileJournal(folder, Redactor())
    aws = Aws(settings.aws, journal)
    parameters = parse_parameters("pgbackrest_backup_restore", {"target": LAB})
    ssh = Ssh(declared_host(settings, aws), journal)
    return Context(folder.name, folder, settings, parameters, journal, aws, ssh)


def client(context: Context, **changes: Any) -> Postgres:
    """The operators' role at the target's address."""
    settings = context.settings
    role = settings.postgres.operator_role
    address = PgAddress(settings.host.address, 5432, "postgres", role, **changes)
    return Postgres(address, context.aws.get_secret(settings.postgres.operator_password_secret))


def account(context: Context) -> dict[str, Any]:
    """All that a recovery could have touched before its cut-over."""
    users = context.aws.call("iam", "list_users")["Users"]
    keys = {
        u["UserName"]: context.aws.call("iam", "list_access_keys", UserName=u["UserName"])
        for u in users
    }
    seen = context.aws.call("lightsail", "get_instances")["instances"]
    instances = [(i["name"], i["state"], i["tags"], i["networking"]) for i in seen]
    return {"keys": keys, "instances": instances, "ips": context.ask(lightsail.static_ips())}


def recover(**parameters: str) -> Result:
    given = {"mode": "recover", "lost_instance": LOST} | parameters
    return runner.run(RUNBOOK, LAB, given, approve=LAB)


def back_up() -> None:
    given = {"pitr_test": "false", "allow_restart": "true"}
    done = runner.run("pgbackrest_backup_restore", LAB, given, approve=LAB)
    assert done.verdict is Verdict.PASSED, done.reasons


def test_the_lost_host_is_replaced_and_a_second_disaster_is_survived(
    lost_lab: LabStatus, tmp_path: Path
) -> None:
    back_up()
    before = context_of(tmp_path / "before")
    role = before.settings.postgres.operator_role
    before.ssh.sql(f"CREATE TABLE promised (n int); GRANT ALL ON promised TO {role};")
    writer = client(before)

    # The controls: a host that lives, and a typo. Nothing is touched.
    untouched = account(before)
    with pytest.raises(Refused, match="database lives"):
        recover()
    with pytest.raises(Refused, match="is not the instance"):
        recover(lost_instance="project-chronoss")
    with pytest.raises(UsageError, match="knows no scenario"):
        recover(scenario="table_dropped")
    with pytest.raises(UsageError, match="are for mode recover"):
        runner.run(RUNBOOK, LAB, {"lost_instance": LOST}, approve=LAB)
    assert account(before) == untouched
    for number in range(40):
        writer.execute("INSERT INTO promised VALUES (%s)", (number,))
    wait_stored(before, before.ssh, before.settings.backup.stanza, switch_segment(before.ssh))
    for number in range(40, 60):  # in no repository when the power fails
        writer.execute("INSERT INTO promised VALUES (%s)", (number,))
    writer.close()
    control.request(LAB, "kill", name="db")
    control.request(LAB, "delete", name="db")
    before.close()

    result = recover()
    assert result.verdict is Verdict.PASSED, result.reasons
    assert result.scenario == "recover"
    found = {finding.id: finding for finding in result.findings}
    for proven in (
        "recover.fence.silent",
        "recover.fence.key",
        "recover.cut-over.served",
        "recover.configuration",
        "backup.archive.reaches-repo1",
        "backup.archive.reaches-repo2",
        "recover.backup.full",
        "recover.backup.long-term",
        "recover.stage.postgres-tls",
        "recover.stage.alarms",
    ):
        assert found[proven].status is Status.PASS, found[proven]
    assert result.achieved.recovery_time_seconds is not None
    assert result.achieved.lost_commits is None  # nobody kept a record

    after = context_of(tmp_path / "after")  # by the parameter file, which names the new host
    new = after.settings.host.instance
    assert after.settings.host.address == before.settings.host.address
    seen = {i.name: i for i in after.ask(lightsail.instances())}
    assert set(seen) == {new}
    assert seen[new].run_id == ""  # no run's any more: neither teardown nor reaper takes it
    certificate = after.settings.hardening.certificate
    assert certificate is not None
    whole = client(after, sslmode="verify-full", sslrootcert=str(certificate.trusted_ca_file))
    whole.address = replace(
        whole.address, host=certificate.names[0], hostaddr=after.settings.host.address
    )
    back = [row["n"] for row in whole.query("SELECT n FROM promised ORDER BY n")]
    assert back == list(range(len(back)))  # the end alone may be lost
    assert len(back) >= 40
    whole.execute("INSERT INTO promised VALUES (1000)")
    whole.close()
    assert after.ask(IDENTITY).timeline == 2
    timers = after.ssh.run(["systemctl", "list-timers", "--no-pager", "chronos-backup-*"]).stdout
    assert "3 timers listed" in timers
    info = after.ask(backups.info(after.settings.backup.stanza))
    assert info is not None
    for repo in (1, 2):
        assert info.of_repo(repo, "full")[-1].wal_start.startswith("00000002")
    for stage in backup.STAGES:
        plan = make_plan(stage, after)
        assert plan.empty, (stage.name, [c.title for c in plan.changes])
        assert not plan.refusals
    wait_stored(after, after.ssh, after.settings.backup.stanza, switch_segment(after.ssh))
    after.close()

    # The second disaster: what the new host has archived is all that there is to restore from.
    proof = runner.run(RUNBOOK, LAB, {"scenario": "production_proof"}, approve=LAB)
    assert proof.verdict is Verdict.PASSED, proof.reasons
    newest = [b.label for b in info.of_repo(1)]
    assert proof.measures["backup_set"] in newest[-2:]  # of the new timeline
    back_up()  # as on any other day: nothing is left that fails it


@LONG
def test_a_mistake_is_left_behind_although_the_database_lives(
    lost_lab: LabStatus, tmp_path: Path
) -> None:
    """The host is well, what is in it is not: the target is the moment before (B5, D9)."""
    back_up()
    before = context_of(tmp_path / "before")
    lost = before.settings.host.instance
    role = before.settings.postgres.operator_role
    before.ssh.sql(f"CREATE TABLE mistaken (n int); GRANT ALL ON mistaken TO {role};")
    writer = client(before)
    for number in range(10):
        writer.execute("INSERT INTO mistaken VALUES (%s)", (number,))
    moment = writer.query("SELECT now() AT TIME ZONE 'UTC' AS now")[0]["now"]
    writer.execute("DELETE FROM mistaken WHERE n % 2 = 0")
    writer.close()
    wait_stored(before, before.ssh, before.settings.backup.stanza, switch_segment(before.ssh))
    before.close()

    given = {"lost_instance": lost, "recovery_target": f"time:{moment:%Y-%m-%dT%H:%M:%S.%f}Z"}
    with pytest.raises(Refused, match="database lives"):
        recover(**given)
    result = recover(**given, although_alive="true")
    assert result.verdict is Verdict.PASSED, result.reasons
    found = {finding.id: finding for finding in result.findings}
    for proven in ("drill.recovery.target-reached", "recover.fence.silent", "recover.backup.full"):
        assert found[proven].status is Status.PASS, found[proven]

    after = context_of(tmp_path / "after")
    there = {i.name: i.state for i in after.ask(lightsail.instances())}
    assert there == {lost: "stopped", after.settings.host.instance: "running"}
    reader = client(after)
    back = [row["n"] for row in reader.query("SELECT n FROM mistaken ORDER BY n")]
    reader.close()
    assert back == list(range(10))
    after.close()
