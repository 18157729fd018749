"""The drill host itself archives into the repository that it was restored from."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, set_in_copy


class CopyArchives(RestoredHostFault):
    id = "copy_archives"
    number = 12
    title = "The restored copy archives"
    what = "somebody overrides archive_mode on the drill host, to let it be like production"
    finding = "drill.host.harmless"
    strike_after = "restore"

    def strike(self, host: Ssh) -> None:
        set_in_copy(host, "archive_mode", "on")
        set_in_copy(host, "archive_command", "/bin/false")


FAULT = CopyArchives()
