"""Drill hosts from a snapshot: quicker than from a bare image, and never with a database in it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops import runner
from chronos_ops.drill.hosts import host_name, install_log, new_host
from chronos_ops.drill.install import install
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.execution.rollback import rollback
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.lab.places import places
from chronos_ops.lab.target import parameters_file
from chronos_ops.model.errors import Refused, UsageError
from chronos_ops.model.result import Verdict
from chronos_ops.model.settings import Settings, load_settings
from tests.lab.drilling import RUNBOOK, drill_context, left_of

pytestmark = pytest.mark.lab
Shell = Callable[..., Any]
Declare = Callable[[str], Settings]


@pytest.fixture
def declare(lab: LabStatus) -> Iterator[Declare]:
    """declare(name): the target's parameter file names that snapshot; as before afterwards."""
    path = parameters_file(places(lab.name))
    before = path.read_text()

    def write(name: str) -> Settings:
        data = yaml.safe_load(before)
        data["drill"]["from_snapshot"] = name
        path.write_text(yaml.safe_dump(data))
        return load_settings(lab.name)

    yield write
    path.write_text(before)


@pytest.fixture(scope="module")
def bare_seconds(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[float]:
    """A host with the packages is made from a bare image, and a snapshot `prepared` of it."""
    context = drill_context(load_settings(lab.name), tmp_path_factory.mktemp("prepared"))
    began = time.monotonic()
    made = new_host(context, "prepared")
    ssh = context.host(made.ssh_address())
    log = install_log(context, made)
    assert install(context, ssh, context.settings, log, with_cluster=False).anything
    seconds = time.monotonic() - began
    context.aws.call(
        "lightsail",
        "create_instance_snapshot",
        instanceName=made.name,
        instanceSnapshotName="prepared",
    )
    wait_available(context.aws, "prepared")
    rollback(context.folder, context.journal)
    yield seconds
    context.aws.call("lightsail", "delete_instance_snapshot", instanceSnapshotName="prepared")
    context.close()


def wait_available(aws: Any, name: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        answer = aws.call("lightsail", "get_instance_snapshot", instanceSnapshotName=name)
        if answer["instanceSnapshot"]["state"] == "available":
            return
        assert answer["instanceSnapshot"]["state"] == "pending"
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_lost_instance_comes_back_from_a_snapshot(
    lab: LabStatus, bare_seconds: float, declare: Declare, tmp_path: Path
) -> None:
    declare("prepared")
    result = runner.run(RUNBOOK, lab.name, {"fault_offset_seconds": "2"}, approve=lab.name)
    assert result.verdict is Verdict.PASSED, result.reasons
    assert result.measures["provision_source"] == "from snapshot prepared, packages there already"
    provision = next(phase for phase in result.phases if phase.name == "provision")
    print(f"provision: {provision.seconds:.1f} s from a snapshot, {bare_seconds:.1f} s bare")
    assert provision.seconds < bare_seconds
    context = drill_context(load_settings(lab.name), tmp_path)
    assert left_of(context, result.run_id) == {}
    context.close()


def test_an_unknown_snapshot_is_refused_before_anything_is_touched(
    lab: LabStatus, bare_seconds: float, declare: Declare
) -> None:
    declare("prepard")
    known = set(outputs_dir().glob(f"{lab.name}/2*"))
    with pytest.raises((UsageError, Refused), match="did you mean 'prepared'"):
        runner.run(RUNBOOK, lab.name, {}, approve=lab.name)
    assert set(outputs_dir().glob(f"{lab.name}/2*")) == known


def test_a_copied_database_is_killed_and_refused(
    lab: LabStatus, declare: Declare, shell: Shell, fresh_host: Callable[..., Any], tmp_path: Path
) -> None:
    """The copy of a host with a live cluster boots it: nothing is restored over that."""
    fresh_host("with-database", image="db", bundle="small_3_0", disk_bytes=60 * 1024**3)
    shell("with-database", "sudo pg_createcluster 17 main --start")
    context = drill_context(load_settings(lab.name), tmp_path)
    context.aws.call(
        "lightsail",
        "create_instance_snapshot",
        instanceName="with-database",
        instanceSnapshotName="with-database",
    )
    wait_available(context.aws, "with-database")
    context.settings = declare("with-database")
    try:
        with pytest.raises(Refused, match=r"packages alone: .*a PostgreSQL server ran"):
            new_host(context, "restored")
        name = host_name(context, "restored")
        copy = next(h for h in control.hosts(lab.name) if h["name"] == name)
        assert copy["state"] == "running"
    finally:
        rollback(context.folder, context.journal)
        context.aws.call(
            "lightsail", "delete_instance_snapshot", instanceSnapshotName="with-database"
        )
    assert left_of(context, context.run_id) == {}
    context.close()
