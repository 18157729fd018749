"""A locale that was made at the source by hand, and that no image nor package has."""

from chronos_ops.faults.fault import DRILL, Fault
from chronos_ops.faults.restoring import proof
from chronos_ops.faults.site import Site

_LOCALE = "localedef --no-archive -i en_US -f UTF-8 /usr/lib/locale/en_XX.utf8"
_DATABASE = "CREATE DATABASE strange TEMPLATE template0 LOCALE 'en_XX.UTF-8';"


class LocaleMissing(Fault):
    id = "locale_missing"
    number = 14
    title = "A locale is missing on the restore host"
    what = "a database of the source was created with a locale that the new host does not have"
    runbook = DRILL
    parameters = proof()
    finding = "drill.recovery.locale"

    def inject(self, site: Site) -> None:
        site.shell(_LOCALE)
        site.sql(_DATABASE)

    def undo(self, site: Site) -> None:
        site.sql("DROP DATABASE strange;")
        site.shell("rm -r /usr/lib/locale/en_XX.utf8")


FAULT = LocaleMissing()
