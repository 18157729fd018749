"""A server runs where the files would go."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, as_root


class RestoreLiveHost(RestoredHostFault):
    id = "restore_live_host"
    number = 13
    title = "A restore onto a running server"
    what = "somebody has set a database up on the host meanwhile, and it runs"
    finding = "drill.host.no-cluster"
    strike_after = "provision-drill-host"

    def strike(self, host: Ssh) -> None:
        as_root(host, "pg_createcluster --start $v main > /dev/null")


FAULT = RestoreLiveHost()
