"""There was room for the files, and there is none for the WAL."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, as_root

_FILLED = """
fallocate -l $(($(df --output=avail -B1 / | tail -n 1) - 6000000)) /var/filled
test $(df --output=avail -B1 / | tail -n 1) -lt 16777216
"""


class RecoveryDiskFull(RestoredHostFault):
    id = "recovery_disk_full"
    number = 14
    title = "The disk is full when WAL is replayed"
    what = "the restored files leave no room for one WAL segment: to recovery, the archive ends"
    finding = "drill.recovery.disk-space"
    strike_after = "restore"

    def strike(self, host: Ssh) -> None:
        as_root(host, _FILLED)


FAULT = RecoveryDiskFull()
