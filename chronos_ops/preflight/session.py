"""The looks of the preflight, as its cells name them: `run.preflight.machine`, …"""

from chronos_ops.preflight.account import account, instance, storage
from chronos_ops.preflight.declared import declared
from chronos_ops.preflight.host import database, firewalls, host
from chronos_ops.preflight.machine import machine
from chronos_ops.preflight.names import names
from chronos_ops.preflight.rights import rights

__all__ = [
    "account",
    "database",
    "declared",
    "firewalls",
    "host",
    "instance",
    "machine",
    "names",
    "rights",
    "storage",
]
