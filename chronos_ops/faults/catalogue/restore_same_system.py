"""The very cluster lies there already, stopped."""

from chronos_ops.faults.restoring import RestoredHostFault, as_root
from chronos_ops.faults.site import Site


class RestoreSameSystem(RestoredHostFault):
    id = "restore_same_system"
    number = 13
    title = "A restore over the same cluster"
    what = "the last attempt to restore lies there, and may hold what no backup has"
    finding = "drill.host.no-cluster"
    strike_after = "provision-drill-host"

    def inject(self, site: Site) -> None:
        argv = [f"--stanza={site.settings.backup.stanza}", "--type=immediate", "restore"]
        with site.host("restored") as host:
            as_root(host, "install -d -o postgres -g postgres -m 0700 $data")
            host.run(["pgbackrest", *argv], user="postgres")


FAULT = RestoreSameSystem()
