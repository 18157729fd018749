"""The drill on real hosts: what is lost is counted, what is dropped comes back, guards hold."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chronos_ops import runner
from chronos_ops.drill.guards import machine_id, require_no_cluster, require_own_host
from chronos_ops.drill.hosts import new_host
from chronos_ops.drill.integrity import check_amcheck, judge_sequences, read_all
from chronos_ops.drill.pitr import prove_pitr
from chronos_ops.drill.reader import make_reader
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import Provisioned
from chronos_ops.execution.rollback import pending_resources, rollback
from chronos_ops.facts import lightsail
from chronos_ops.facts.postgres import CLUSTERS, IDENTITY
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import Refused, UsageError
from chronos_ops.model.finding import Status
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import Settings, load_settings
from tests.lab.drilling import RUNBOOK, drill_context, left_of
from tests.lab.least import least_target

pytestmark = pytest.mark.lab
PHASES = ["detect", "provision", "preflight", "restore", "recovery", "promote"]
PHASES += ["first_write", "verify"]
by_hand = pytest.mark.skipif(
    "CHRONOS_LONG_TESTS" not in os.environ, reason="minutes long: CHRONOS_LONG_TESTS=1 runs it"
)
Shell = Callable[..., Any]


@pytest.fixture
def context(lab: LabStatus, tmp_path: Path) -> Iterator[Context]:
    """What a running drill holds; its bucket is there."""
    found = drill_context(load_settings(lab.name), tmp_path)
    yield found
    found.close()


@pytest.fixture(scope="module")
def least(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The same target with the rights of scheduled drills alone (P1)."""
    with least_target(lab.name, tmp_path_factory.mktemp("least")) as settings:
        yield settings


@pytest.fixture
def drilled(context: Context, least: Settings) -> Callable[..., Result]:
    """drilled(name=value, ...): a whole drill, headlessly; the generated policy suffices."""

    def run(**parameters: str) -> Result:
        return runner.run(RUNBOOK, least.target, parameters, approve=least.target)

    return run


def evidence(result: Result) -> Path:
    return outputs_dir() / result.target / result.run_id


def test_a_lost_instance_costs_commits_in_each_pass_and_a_missed_objective_deviates(
    context: Context, drilled: Callable[..., Result], shell: Shell
) -> None:
    before = context.ask(IDENTITY)
    result = drilled(
        fault_offset_seconds="2.5",
        objective_recovery_time_seconds="1",
        commits_per_second="40",
        repeat="2",
    )
    # everything ran and every check is good: only the objective of one second was missed
    assert result.verdict is Verdict.DEVIATED, result.reasons
    assert result.verdict.exit_status == 1
    bad = [finding.id for finding in result.findings if not finding.good]
    assert bad == [
        "drill.objective.recovery-time",
        "drill.distribution.recovery-time",
        "drill.distribution.pass-2",
    ], result.reasons
    assert [phase.name for phase in result.phases] == PHASES
    achieved = result.achieved
    assert achieved.recovery_time_seconds == achieved.verified_seconds
    total = sum(phase.seconds for phase in result.phases)
    assert achieved.recovery_time_seconds == pytest.approx(total, abs=0.01)
    # the loss: from the record on disk, from the list of the lost, and from the result
    lines = (evidence(result) / "logs/acknowledged_commits.jsonl").read_text().splitlines()
    acked = {line["seq"] for line in map(json.loads, lines) if "acked" in line}
    csv = (evidence(result) / "logs/lost_commits.csv").read_text().splitlines()[1:]
    lost = {int(line.split(",")[0]) for line in csv}
    assert lost
    assert lost < acked
    assert len(lost) == achieved.lost_commits
    assert max(lost) == max(acked)  # what was not archived is the end
    found = {finding.id: finding for finding in result.findings}
    assert found["drill.loss.independent-count"].observed.startswith(f"{len(lost)} of {len(acked)}")
    assert found["drill.fault.abrupt"].status is Status.PASS
    assert found["drill.integrity.unlogged"].status is Status.PASS
    assert achieved.recovery_point_seconds is not None
    assert 1.5 < achieved.recovery_point_seconds < 10
    assert sum(row["acknowledged"] for row in result.measures["commits"]) == len(acked)
    # the second pass: its own hosts, offset and rate, judged by the same checks
    first, second = result.measures["passes"]
    assert (first["rate"], second["rate"]) == (40, 1)
    assert second["bad"] == ["drill.objective.recovery-time"]
    assert second["checks"] > 15
    assert second["lost"] > 0
    assert second["promised"] - second["lost"] > 0
    assert first["promised"] == len(acked)
    own = {path.name for path in (evidence(result) / "logs/p2").iterdir()}
    assert {"acknowledged_commits.jsonl", "lost_commits.csv", "recovery.log"} <= own
    assert found["drill.distribution.complete"].observed == "2 of 2"
    assert found["drill.distribution.bound"].status is Status.PASS
    assert found["drill.forecast.error"].status is Status.NOT_APPLICABLE
    assert all(one["wal"] > 0 for one in result.measures["forecast_restores"])
    assert len(result.measures["forecast_restores"]) == 2
    # the evidence is in the archive, nothing is left, and the declared host was not touched
    archive = context.settings.archive
    assert archive is not None
    kept = context.aws.call("s3", "list_object_versions", Bucket=archive.bucket)["Versions"]
    assert any(result.run_id in version["Key"] for version in kept)
    assert left_of(context, result.run_id) == {}
    after = context.ask(IDENTITY)
    assert (after.system_identifier, after.timeline) == (before.system_identifier, before.timeline)
    databases = shell("db", "sudo -u postgres psql -Atc 'SELECT datname FROM pg_database'").stdout
    assert "chronos_drill" not in databases


def test_a_dropped_table_comes_back_row_for_row(
    context: Context, drilled: Callable[..., Result]
) -> None:
    result = drilled(scenario="table_dropped", recovery_target="xid:")
    assert result.verdict is Verdict.PASSED, result.reasons
    achieved = result.achieved
    assert achieved.lost_commits == 0
    assert achieved.given_up_commits is not None
    assert achieved.given_up_commits > 20
    found = {finding.id: finding for finding in result.findings}
    for proven in (
        "drill.pitr.before-present",
        "drill.pitr.after-absent",
        "drill.bring-back.compared",
        "drill.bring-back.nothing-else-lost",
        "drill.host.harmless",
    ):
        assert found[proven].status is Status.PASS
    assert left_of(context, result.run_id) == {}


def declared(context: Context, **changes: str) -> Provisioned:
    """The declared host, dressed up as one of this run."""
    address = context.ssh.address
    name = context.settings.host.instance
    seen = context.ask(lightsail.instance(name))
    assert seen is not None
    host = Provisioned(
        name=name,
        run_id=context.run_id,
        address=seen.address,
        user=address.user,
        known_hosts=address.known_hosts,
        key_file=address.key_file,
        source="",
        bundle="",
        zone="",
        machine_id=machine_id(context.ssh),
    )
    return replace(host, **changes)  # type: ignore[arg-type]


def test_no_fault_strikes_a_host_that_this_run_did_not_make(context: Context) -> None:
    with pytest.raises(Refused, match="was not made by this run"):
        require_own_host(context, declared(context))
    with pytest.raises(Refused, match="no such instance"):
        require_own_host(context, declared(context, name="nobody"))


def test_a_tag_alone_does_not_make_the_declared_host_ours(context: Context) -> None:
    """Tag, journal and machine id: one after the other is forged, the next one still refuses."""
    name = context.settings.host.instance
    tag = {"key": "chronos:run", "value": context.run_id}
    context.aws.call("lightsail", "tag_resource", resourceName=name, tags=[tag])
    try:
        with pytest.raises(Refused, match="journal knows no such instance"):
            require_own_host(context, declared(context))
        context.journal.resource(f"lightsail:instance/{name}", ())
        with pytest.raises(Refused, match="is not the machine"):
            require_own_host(context, declared(context, machine_id="0" * 32))
        with pytest.raises(Refused, match="machine id of the declared host"):
            require_own_host(context, declared(context))
    finally:
        context.aws.call("lightsail", "untag_resource", resourceName=name, tagKeys=["chronos:run"])


def test_no_restore_goes_over_a_cluster_alive_or_dead(context: Context, shell: Shell) -> None:
    cluster = context.ask(CLUSTERS)[0]
    live, system_id = cluster.data_directory, context.ask(IDENTITY).system_identifier
    bin_dir = f"/usr/lib/postgresql/{cluster.version}/bin"

    def look(directory: str) -> None:
        require_no_cluster(context.ssh, directory, bin_dir, system_id)

    with pytest.raises(Refused, match="runs at"):
        look(live)
    shell(
        "db",
        f"sudo sh -c 'mkdir -p /tmp/dead/global; cp {live}/global/pg_control /tmp/dead/global'",
    )
    with pytest.raises(Refused, match="holds the very cluster"):
        look("/tmp/dead")
    with pytest.raises(Refused, match="is not empty"):
        look("/etc")
    look("/var/lib/postgresql/99/new")  # the control run: nothing is there


def test_the_checks_of_integrity_see_damage(context: Context) -> None:
    """A control run is green; then an index that misses a row is named."""
    ssh = context.ssh
    bin_dir = f"/usr/lib/postgresql/{context.ask(CLUSTERS)[0].version}/bin"
    set_ready = "UPDATE pg_index SET indisready = {} WHERE indexrelid = 'damaged_pkey'::regclass;"
    ssh.sql("CREATE TABLE damaged (id serial PRIMARY KEY, a int); INSERT INTO damaged VALUES (1);")
    try:
        assert check_amcheck(ssh, bin_dir, 2).status is Status.PASS
        behind = judge_sequences(read_all(ssh))
        assert "damaged_id_seq at 1, 1 is used" in behind.observed
        ssh.sql(set_ready.format("false"))
        ssh.sql("INSERT INTO damaged VALUES (3);")  # not in the index
        ssh.sql(set_ready.format("true"))
        found = check_amcheck(ssh, bin_dir, 2)
        assert found.status is Status.FAIL
        assert "damaged_pkey" in found.observed
    finally:
        ssh.sql("DROP TABLE damaged; DROP EXTENSION IF EXISTS amcheck;")


def test_a_failed_step_leaves_nothing_behind(context: Context) -> None:
    """Whatever a step had made when it broke is in the journal, and goes."""
    host = new_host(context, "primary")
    make_reader(context)
    assert set(left_of(context, context.run_id)) == {
        "instances",
        "users",
        "secrets",
        "key pairs",
    }
    require_own_host(context, host)  # the control run: this one is ours
    rollback(context.folder, context.journal)
    assert pending_resources(context.folder) == []
    assert left_of(context, context.run_id) == {}


def test_an_unapproved_drill_is_refused(lab: LabStatus) -> None:
    with pytest.raises(Refused, match="not approved"):
        runner.run(RUNBOOK, lab.name, {})


@pytest.mark.parametrize(
    ("target", "scenario", "why"),
    [
        ("time:2026-01-01T00:00:00", "table_dropped", "needs its time zone"),
        ("time:2020-01-01T00:00:00Z", "table_dropped", "cannot be reached"),
        ("xid:", "database_dropped", "no xid of its own"),
        ("lsn:", "instance_lost", "recovers to the latest commit"),
    ],
)
def test_an_impossible_recovery_target_is_refused_before_anything_is_touched(
    lab: LabStatus, target: str, scenario: str, why: str
) -> None:
    known = set(outputs_dir().glob(f"{lab.name}/2*"))
    with pytest.raises((UsageError, Refused), match=why):
        runner.run(RUNBOOK, lab.name, {"recovery_target": target, "scenario": scenario}, lab.name)
    assert set(outputs_dir().glob(f"{lab.name}/2*")) == known


@by_hand
@pytest.mark.parametrize("target", ["lsn:", "name:", "time:"])
def test_a_dropped_database_comes_back_by_every_kind_of_target(
    context: Context, drilled: Callable[..., Result], target: str
) -> None:
    result = drilled(scenario="database_dropped", recovery_target=target)
    assert result.verdict is Verdict.PASSED, result.reasons
    assert left_of(context, result.run_id) == {}


@by_hand
def test_production_is_proven_and_only_read(
    context: Context, drilled: Callable[..., Result], lab: LabStatus
) -> None:
    given = {"allow_restart": "true", "pitr_test": "false"}
    backed_up = runner.run("pgbackrest_backup_restore", lab.name, given, approve=lab.name)
    assert backed_up.verdict is Verdict.PASSED, backed_up.reasons
    proof = prove_pitr(context)
    assert all(finding.good for finding in proof.findings)
    rollback(context.folder, context.journal)
    result = drilled(scenario="production_proof")
    assert result.verdict is Verdict.PASSED, result.reasons
    assert left_of(context, result.run_id) == {}
