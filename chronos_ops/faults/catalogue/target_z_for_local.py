"""`Z` means UTC, wherever the operator sits."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from chronos_ops.faults.restoring import TargetFault, proof
from chronos_ops.faults.site import Site


class TargetZForLocal(TargetFault):
    id = "target_z_for_local"
    title = "`Z` behind the operator's own local time"
    what = "19:30 on the operator's wall, written as 19:30Z: it has not been yet"

    def asked(self, site: Site) -> Mapping[str, str]:  # noqa: ARG002 - the operator's own clock
        wall = datetime.now(ZoneInfo("Europe/Berlin"))
        return proof(f"time:{wall:%Y-%m-%dT%H:%M:%S}Z")


FAULT = TargetZForLocal()
