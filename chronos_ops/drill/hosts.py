"""Hosts of a drill: made by this run, and without a database on them."""

from pathlib import Path

from chronos_ops.drill.snapshot import require_no_database
from chronos_ops.execution.context import Context
from chronos_ops.execution.hosts import host_name, make_host
from chronos_ops.execution.provision import Provisioned

__all__ = ["host_name", "install_log", "new_host"]


def new_host(context: Context, role: str) -> Provisioned:
    """Make a host of this run, without a database on it. Raises what provisioning raises."""
    made = make_host(context, role)
    if context.settings.drill.from_snapshot:
        require_no_database(context.host(made.ssh_address()), made.source)
    return made


def install_log(context: Context, host: Provisioned) -> Path:
    """What apt said on a host of this run."""
    return context.logs / f"install-{host.name}.log"
