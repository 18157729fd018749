"""Another machine answers at the address of the host that the run made."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, as_root

# systemd-machine-id-setup may give a container the id that it had.
_ANOTHER = """
was=$(cat /etc/machine-id)
tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id
test "$was" != "$(cat /etc/machine-id)"
"""


class RestoreForeignHost(RestoredHostFault):
    id = "restore_foreign_host"
    number = 13
    title = "The restore would go to a machine of somebody else"
    what = (
        "the address was given to another machine, or the host was made anew, while the run waited"
    )
    finding = "drill.host.own"
    strike_after = "provision-drill-host"

    def strike(self, host: Ssh) -> None:
        as_root(host, _ANOTHER)


FAULT = RestoreForeignHost()
