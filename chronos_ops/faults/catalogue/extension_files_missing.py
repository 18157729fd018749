"""A server starts without the files of an extension that it does not preload."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, as_root


class ExtensionFilesMissing(RestoredHostFault):
    id = "extension_files_missing"
    number = 14
    title = "An extension's files are missing on the restore host"
    what = "the database is there and answers, until a query needs a type of the extension"
    finding = "drill.integrity.extensions"
    strike_after = "recover"

    def strike(self, host: Ssh) -> None:
        host.sql("CREATE EXTENSION vector;")
        as_root(host, "rm $($bin/pg_config --sharedir)/extension/vector*")


FAULT = ExtensionFilesMissing()
