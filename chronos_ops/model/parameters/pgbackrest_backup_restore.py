"""Parameters of the backup runbook (B)."""

from typing import ClassVar

from chronos_ops.model.parameters.common import ChangingParameters, Need


class PgbackrestBackupRestore(ChangingParameters):
    """See notebooks/pgbackrest_backup_restore.ipynb."""

    needs: ClassVar[tuple[Need, ...]] = ("sudo", "clock")  # a recovery target is a moment

    allow_restart: bool = False  # PostgreSQL may be restarted where a change needs it (B3)
    pitr_test: bool = True  # prove PITR on a scratch host from both sides (B5)
