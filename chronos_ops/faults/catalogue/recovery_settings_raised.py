"""max_connections was raised at the source after the backup that is restored."""

from chronos_ops.faults.archiver import alter, reset
from chronos_ops.faults.fault import DRILL, Fault
from chronos_ops.faults.restoring import CLUSTER, proof
from chronos_ops.faults.site import Site

_RESTART = CLUSTER + "systemctl restart postgresql@$v-main"


class RecoverySettingsRaised(Fault):
    id = "recovery_settings_raised"
    number = 14
    title = "max_connections was raised since the backup"
    what = "replay comes to the change, needs the larger value, and pauses for ever"
    runbook = DRILL
    parameters = proof()
    finding = "drill.recovery.settings"

    def inject(self, site: Site) -> None:
        alter(site, "max_connections", "150")
        site.shell(_RESTART)
        site.sql("CHECKPOINT;")  # wakes the checkpointer, which then heeds archive_timeout

    def undo(self, site: Site) -> None:
        reset(site, "max_connections")
        site.shell(_RESTART)
        site.sql("CHECKPOINT;")


FAULT = RecoverySettingsRaised()
