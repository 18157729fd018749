"""The steps of the backup runbook, as its cells name them: `run.step("verify", run.backup.…)`."""

from chronos_ops.drill.backup_checks import (
    archive_check,
    pitr_proof,
    restore_points,
    schedule_check,
    verify_repositories,
)
from chronos_ops.drill.backup_preflight import restore_preflight
from chronos_ops.drill.host_checks import config_files, connection_check, rights_check
from chronos_ops.drill.pitr import begin_scratch_host, settle_scratch_host

__all__ = [
    "archive_check",
    "begin_scratch_host",
    "config_files",
    "connection_check",
    "pitr_proof",
    "restore_points",
    "restore_preflight",
    "rights_check",
    "schedule_check",
    "settle_scratch_host",
    "verify_repositories",
]
