"""The command is the right one; what it runs is not."""

from chronos_ops.faults.archiver import push_lost, remember_segment
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site

_WRAPPER = "/usr/local/bin/pgbackrest"
_TEXT = """#!/bin/sh
case " $* " in *" archive-push "*) exit 0 ;; esac
exec /usr/bin/pgbackrest "$@"
"""


class ArchiveWrapperNoop(Fault):
    id = "archive_wrapper_noop"
    number = 1
    title = "A wrapper before pgbackrest that swallows archive-push"
    what = "archive_command reads as it should, and a wrapper earlier in the PATH pushes nothing"
    finding = "backup.archive.reaches-repo1"

    def inject(self, site: Site) -> None:
        remember_segment(site)
        site.ssh.put(_WRAPPER, _TEXT, mode="0755")

    def undo(self, site: Site) -> None:
        site.ssh.run(["rm", "-f", _WRAPPER], sudo=True)
        push_lost(site)


FAULT = ArchiveWrapperNoop()
