"""Every control of the security audit (H7). A new control is one entry in its area's file."""

from chronos_ops.model.control import Control
from chronos_ops.plans.controls import (
    accounts,
    backups,
    filesystem,
    firewall,
    kernel,
    logs,
    passwords,
    postgres,
    postgres_logging,
    postgres_privileges,
    services,
    ssh,
    ssh_keys,
    sudo,
    updates,
)

CONTROLS: tuple[Control, ...] = (
    *ssh.CONTROLS,
    *ssh_keys.CONTROLS,
    *firewall.CONTROLS,
    *accounts.CONTROLS,
    *passwords.CONTROLS,
    *sudo.CONTROLS,
    *filesystem.CONTROLS,
    *kernel.CONTROLS,
    *services.CONTROLS,
    *logs.CONTROLS,
    *updates.CONTROLS,
    *postgres.CONTROLS,
    *postgres_privileges.CONTROLS,
    *postgres_logging.CONTROLS,
    *backups.CONTROLS,
)

__all__ = ["CONTROLS"]
