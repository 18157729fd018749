"""A hole in the WAL, which pgBackRest's own verify does not call an error."""

from chronos_ops.facts import backups
from chronos_ops.faults.fault import Fault
from chronos_ops.faults.objects import bring_back, delete, keys_below, live
from chronos_ops.faults.site import Site
from chronos_ops.model.errors import ChronosError


class WalSegmentMissing(Fault):
    id = "wal_segment_missing"
    number = 3
    title = "A WAL segment is missing in the middle"
    what = "one segment between two others is gone: no recovery goes past it"
    finding = "backup.archive.continuous-repo1"

    def inject(self, site: Site) -> None:
        info = site.context.ask(backups.info(site.settings.backup.stanza))
        if info is None:
            raise ChronosError("pgbackrest info says nothing", site.ssh)
        segment, archive_id = info.of_repo(1)[0].wal_stop, info.archive_id(1)
        site.kept["segment"] = segment
        delete(
            site,
            keys_below(site, f"{live(site, 'archive')}/{archive_id}/{segment[:16]}/{segment}-"),
        )

    def undo(self, site: Site) -> None:
        bring_back(site)


FAULT = WalSegmentMissing()
