"""There was room when the restore began."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, as_root

_FILLS_UP = r"""
cat > /run/fills-up.sh <<'END'
until [ -e "$1/base" ]; do sleep 0.02; done
fallocate -l $(($(df --output=avail -B1 / | tail -n 1) - 65536)) /var/fills-up || :
dd if=/dev/zero of=/var/fills-up-too bs=4096 || :
END
systemd-run --quiet sh /run/fills-up.sh $data
"""


class RestoreDiskFull(RestoredHostFault):
    id = "restore_disk_full"
    number = 14
    title = "The disk fills up in the middle of the restore"
    what = (
        "the restored files and something else share a disk: the space goes while they are copied"
    )
    finding = "drill.restore.disk-space"
    strike_after = "provision-drill-host"

    def strike(self, host: Ssh) -> None:
        as_root(host, _FILLS_UP)


FAULT = RestoreDiskFull()
