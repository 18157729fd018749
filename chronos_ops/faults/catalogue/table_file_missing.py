"""A file of a table is gone below a running server."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, as_root


class TableFileMissing(RestoredHostFault):
    id = "table_file_missing"
    number = 15
    title = "A table's file is missing after the restore"
    what = "a file was not copied, or was removed since: what reads the table fails"
    finding = "drill.integrity.rows-read"
    strike_after = "recover"

    def strike(self, host: Ssh) -> None:
        host.sql("CREATE TABLE lost AS SELECT generate_series(1, 1000) AS n; CHECKPOINT;")
        path = host.sql("SELECT pg_relation_filepath('lost')").stdout.strip()
        as_root(host, f"pg_ctlcluster --skip-systemctl-redirect $v main stop; rm $data/{path}")
        as_root(host, "pg_ctlcluster --skip-systemctl-redirect $v main start")


FAULT = TableFileMissing()
