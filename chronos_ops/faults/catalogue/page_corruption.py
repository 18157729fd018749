"""pgBackRest backs a broken page up with a warning, and exits 0."""

from chronos_ops.facts import backups
from chronos_ops.facts.postgres import CLUSTERS
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.site import Site
from chronos_ops.model.errors import ChronosError
from chronos_ops.plans.cluster import declared_cluster

_MAKE = """
CREATE TABLE chronos_corrupted AS SELECT g FROM generate_series(1, 1000) g; CHECKPOINT;
SELECT current_setting('data_directory') || '/' || pg_relation_filepath('chronos_corrupted');
"""
_BREAK = 'printf broken | dd of="$1" bs=1 seek=5000 conv=notrunc status=none; sync "$1"'
_CHECKSUMS = """
systemctl stop "$1"
sudo -u postgres "/usr/lib/postgresql/$2/bin/pg_checksums" "--$4" --no-sync -D "$3"
systemctl start "$1"
"""


class PageCorruption(Fault):
    """Only a cluster with data checksums can tell; Debian's default has none before 18."""

    id = "page_corruption"
    number = 9
    title = "A corrupt page was backed up"
    what = "the disk broke a page; the backup took it along with a warning only"
    finding = "backup.page-errors"

    def inject(self, site: Site) -> None:
        self._checksums(site, "enable")
        path = site.sql(_MAKE)
        site.ssh.run(["sh", "-ec", _BREAK, "break", path], sudo=True)
        # A differential would check pages only as its full did.
        site.ssh.run(["systemctl", "start", "chronos-backup-full.service"], sudo=True)

    def undo(self, site: Site) -> None:
        site.sql("DROP TABLE chronos_corrupted; CHECKPOINT;")
        stanza = site.settings.backup.stanza
        info = site.context.ask(backups.info(stanza))
        if info is None:
            raise ChronosError("pgbackrest info says nothing", site.ssh)
        for wrong in (b for b in info.of_repo(1) if b.page_errors):
            expire = [f"--stanza={stanza}", "--repo=1", f"--set={wrong.label}", "expire"]
            site.ssh.run(["pgbackrest", *expire], user="postgres")
        self._checksums(site, "disable")

    def _checksums(self, site: Site, deed: str) -> None:
        clusters = site.context.ask(CLUSTERS)
        cluster = declared_cluster(site.settings, clusters)
        if cluster is None:
            raise ChronosError("no cluster to strike", site.ssh)
        words = (cluster.unit, cluster.version, cluster.data_directory, deed)
        site.ssh.run(["sh", "-ec", _CHECKSUMS, "checksums", *words], sudo=True)


FAULT = PageCorruption()
