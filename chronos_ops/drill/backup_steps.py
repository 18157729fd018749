"""The steps of the backup runbook, as its cells name them: `run.step("verify", run.backup.…)`."""

from chronos_ops.drill.backup_checks import (
    archive_check,
    pitr_proof,
    restore_points,
    schedule_check,
    verify_repositories,
)
from chronos_ops.drill.host_checks import config_files, connection_check, rights_check

__all__ = [
    "archive_check",
    "config_files",
    "connection_check",
    "pitr_proof",
    "restore_points",
    "rights_check",
    "schedule_check",
    "verify_repositories",
]
