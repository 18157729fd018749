"""What `now()` shows in a database whose time zone is not UTC, taken for UTC."""

from collections.abc import Mapping

from chronos_ops.faults.restoring import TargetFault, proof
from chronos_ops.faults.site import Site


class TargetZoneDatabase(TargetFault):
    id = "target_zone_database"
    title = "The database's local time, written as UTC"
    what = "a time from a query's answer, hours ahead of UTC, its offset cut off"

    def inject(self, site: Site) -> None:
        site.sql("ALTER SYSTEM SET timezone = 'Asia/Tokyo'; SELECT pg_reload_conf();")
        shown = "SET timezone = 'Asia/Tokyo'; SELECT to_char(now(), 'YYYY-MM-DD HH24:MI:SS')"
        site.kept["wall"] = site.sql(shown)

    def asked(self, site: Site) -> Mapping[str, str]:
        return proof(f"time:{site.kept['wall']}+00")

    def undo(self, site: Site) -> None:
        site.sql("ALTER SYSTEM RESET timezone; SELECT pg_reload_conf();")


FAULT = TargetZoneDatabase()
