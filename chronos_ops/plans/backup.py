"""The stages of the backup runbook, in the order in which they are applied."""

from chronos_ops.plans.access import DATABASE_ACCESS
from chronos_ops.plans.archiving import ARCHIVING
from chronos_ops.plans.bucket import BUCKET
from chronos_ops.plans.cipher import CIPHER
from chronos_ops.plans.identity import IAM_USER
from chronos_ops.plans.jobs import BACKUP_JOBS, FIRST_BACKUPS, TIMERS
from chronos_ops.plans.packages import PACKAGE_LISTS, PACKAGES
from chronos_ops.plans.pgbackrest_config import PGBACKREST_CONFIG
from chronos_ops.plans.stanza import STANZA

# The stanza comes before archiving: a segment pushed without one fails and is retried a minute on.
STAGES = (
    PACKAGE_LISTS,
    PACKAGES,
    DATABASE_ACCESS,
    BUCKET,
    IAM_USER,
    CIPHER,
    PGBACKREST_CONFIG,
    STANZA,
    ARCHIVING,
    BACKUP_JOBS,
    FIRST_BACKUPS,
    TIMERS,
)

__all__ = [
    "ARCHIVING",
    "BACKUP_JOBS",
    "BUCKET",
    "CIPHER",
    "DATABASE_ACCESS",
    "FIRST_BACKUPS",
    "IAM_USER",
    "PACKAGES",
    "PACKAGE_LISTS",
    "PGBACKREST_CONFIG",
    "STAGES",
    "STANZA",
    "TIMERS",
]
