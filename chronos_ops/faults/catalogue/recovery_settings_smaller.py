"""Recovery needs what the source had."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, set_in_copy


class RecoverySettingsSmaller(RestoredHostFault):
    id = "recovery_settings_smaller"
    number = 14
    title = "max_connections is smaller than at the source"
    what = "a smaller host has got a smaller max_connections, and recovery refuses to begin"
    finding = "drill.recovery.settings"
    strike_after = "restore"

    def strike(self, host: Ssh) -> None:
        set_in_copy(host, "max_connections", "20")


FAULT = RecoverySettingsSmaller()
