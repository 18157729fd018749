"""A preloaded library that is not there: the server does not start."""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.faults.restoring import RestoredHostFault, as_root


class PreloadLibraryMissing(RestoredHostFault):
    id = "preload_library_missing"
    number = 14
    title = "A preloaded library is missing on the restore host"
    what = (
        "the package of an extension was left out of the new host, or is of another major version"
    )
    finding = "drill.recovery.preload-library"
    strike_after = "restore"

    def strike(self, host: Ssh) -> None:
        as_root(host, "rm $($bin/pg_config --pkglibdir)/pg_stat_statements.so")


FAULT = PreloadLibraryMissing()
