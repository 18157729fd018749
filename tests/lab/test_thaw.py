"""A long-term set that is really frozen: refused by name, thawed, restored, proven (B2)."""

from collections.abc import Iterator
from typing import Any

import pytest

from chronos_ops import runner
from chronos_ops.connectors.aws import Aws
from chronos_ops.drill import backup_checks
from chronos_ops.drill.scenario import find
from chronos_ops.drill.state import Drill
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups, s3
from chronos_ops.facts.s3 import StoredObject
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import UnfitTarget
from chronos_ops.model.finding import Status
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.result import Verdict
from chronos_ops.model.settings import load_settings
from tests.lab.drilling import drill_context, left_of

pytestmark = pytest.mark.lab
BIGGER_THAN = 200_000  # the lifecycle's filter for the lab's small files: manifests are smaller


@pytest.fixture(scope="module")
def context(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A target with backups, whose long-term set the lifecycle has frozen."""
    given = {"allow_restart": "true", "pitr_test": "false"}
    done = runner.run("pgbackrest_backup_restore", lab.name, given, approve=lab.name)
    assert done.verdict in (Verdict.PASSED, Verdict.DEVIATED), done.reasons
    found = drill_context(load_settings(lab.name), tmp_path_factory.mktemp("thaw"))
    oldest = long_term_label(found)
    stanza = f"--stanza={found.settings.backup.stanza}"
    found.ssh.run(["pgbackrest", stanza, "--repo=2", "--type=full", "backup"], user="postgres")
    frozen = [i for i in stored(found) if f"/{oldest}/" in i.key and i.size > BIGGER_THAN]
    assert frozen
    for item in frozen:
        into_class(found.aws, found.settings.backup.bucket, item.key, "DEEP_ARCHIVE")
    yield found
    found.close()


def into_class(aws: Aws, bucket: str, key: str, storage_class: str) -> str:
    """As the lifecycle does; the new version."""
    where = {"Bucket": bucket, "Key": key}
    made = aws.call("s3", "copy_object", **where, CopySource=where, StorageClass=storage_class)
    return str(made["VersionId"])


def stored(context: Context) -> list[StoredObject]:
    backup = context.settings.backup
    return context.ask(s3.objects(backup.bucket, backup.long_term_prefix))


def long_term_label(context: Context) -> str:
    info = context.ask(backups.info(context.settings.backup.stanza))
    assert info is not None
    return info.of_repo(2)[0].label


def test_a_frozen_set_cannot_be_restored_and_verify_leaves_it_out(context: Context) -> None:
    stanza, label = context.settings.backup.stanza, long_term_label(context)
    argv = ["pgbackrest", f"--stanza={stanza}", "--repo=2", f"--set={label}"]
    path = "--pg1-path=/tmp/not-thawed"
    context.ssh.run(["install", "-d", "-o", "postgres", "/tmp/not-thawed"], sudo=True)
    tried = context.ssh.run([*argv, path, "restore"], user="postgres", accept=range(256))
    context.ssh.run(["rm", "-rf", "/tmp/not-thawed"], sudo=True)
    assert tried.exit_code
    assert "InvalidObjectState" in tried.stdout + tried.stderr
    found = backup_checks.verify_repositories(context)
    by_id = {finding.id: finding for finding in found.findings}
    assert by_id["backup.repo2.verified"].status is Status.PASS
    assert found.table[-1]["frozen sets, not read"] == 1
    assert by_id["backup.repo2.storage-class"].status is Status.PASS
    row = next(r for r in backup_checks.restore_points(context).table if r["backup"] == label)
    assert "12 h" in row["readable"]


def test_a_frozen_info_file_stops_before_anything_is_ordered(context: Context) -> None:
    """Failure 5: the size filter is too small, or the rule is not ours."""
    bucket = context.settings.backup.bucket
    keys = [i.key for i in stored(context) if "/backup.info" in i.key]
    versions = {key: into_class(context.aws, bucket, key, "DEEP_ARCHIVE") for key in keys}
    try:
        with pytest.raises(UnfitTarget, match="repo2 cannot be read") as caught:
            find("long_term_set").check_target(context, Drill(), RecoveryTarget())
    finally:
        for key, version in versions.items():
            context.aws.call("s3", "delete_object", Bucket=bucket, Key=key, VersionId=version)
    assert caught.value.breaks is not None
    assert caught.value.breaks.id == "drill.thaw.info-readable"
    assert not any(item.thawing or item.thawed_until for item in stored(context))


def test_it_is_thawed_restored_and_proven(context: Context, lab: LabStatus) -> None:
    given = {"scenario": "long_term_set", "thaw_tier": "bulk"}
    done = runner.run("disaster_recovery", lab.name, given, approve=lab.name)
    assert done.verdict is Verdict.PASSED, done.reasons
    by_id: dict[str, Any] = {finding.id: finding for finding in done.findings}
    for proven in (
        "drill.thaw.info-readable",
        "drill.thaw.set-complete",
        "drill.thaw.wal-range",
        "drill.thaw.complete",
        "drill.host.read-only-key",
        "drill.recovery.target-reached",
        "drill.integrity.amcheck",
    ):
        assert by_id[proven].status is Status.PASS, proven
    assert done.phases[0].name == "thaw"
    assert done.achieved.recovery_time_seconds is None  # the objective is not the live one's
    assert done.measures["thaw_stated_hours"] == 48
    assert done.measures["thaw_usd"] > 0
    assert done.measures["long_term_label"] == long_term_label(context)
    assert left_of(context, done.run_id) == {}
    assert all(item.readable for item in stored(context))
    verified = backup_checks.verify_repositories(context)  # the copies can be read now
    assert all(finding.good for finding in verified.findings)
    assert verified.table[-1]["frozen sets, not read"] == 0
