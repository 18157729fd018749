"""pgBackRest backs a broken page up with a warning, and exits 0."""

from chronos_ops.facts import backups
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site
from chronos_ops.model.errors import ChronosError

_MAKE = """
CREATE TABLE chronos_corrupted AS SELECT g FROM generate_series(1, 1000) g; CHECKPOINT;
SELECT current_setting('data_directory') || '/' || pg_relation_filepath('chronos_corrupted');
"""
_WRITE = 'printf broken | dd of="$1" bs=1 seek=5000 conv=notrunc status=none; sync "$1"'


class PageCorruption(Fault):
    id = "page_corruption"
    number = 9
    title = "A corrupt page was backed up"
    what = "the disk broke a page; the backup took it along with a warning only"
    finding = "backup.page-errors"

    def inject(self, site: Site) -> None:
        path = site.sql(_MAKE)
        site.ssh.run(["sh", "-ec", _WRITE, "break", path], sudo=True)
        site.ssh.run(["systemctl", "start", "chronos-backup-diff.service"], sudo=True)

    def undo(self, site: Site) -> None:
        site.sql("DROP TABLE chronos_corrupted; CHECKPOINT;")
        stanza = site.settings.backup.stanza
        info = site.context.ask(backups.info(stanza))
        if info is None:
            raise ChronosError("pgbackrest info says nothing", site.ssh)
        for wrong in (b for b in info.of_repo(1) if b.page_errors):
            expire = [f"--stanza={stanza}", "--repo=1", f"--set={wrong.label}", "expire"]
            site.ssh.run(["pgbackrest", *expire], user="postgres")


FAULT = PageCorruption()
