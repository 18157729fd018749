"""Another machine answers at the address of the host that the run made."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, as_root


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
        as_root(host, "rm /etc/machine-id; systemd-machine-id-setup > /dev/null")


FAULT = RestoreForeignHost()
