"""The wall clock of a host that is not set to UTC, taken for UTC."""

from collections.abc import Mapping

from chronos_ops.faults.restoring import TargetFault, proof
from chronos_ops.faults.site import Site

_ZONE = "ln -sfn /usr/share/zoneinfo/{} /etc/localtime"


class TargetZoneHost(TargetFault):
    id = "target_zone_host"
    title = "The host's wall-clock time, written as UTC"
    what = "a time from the host's shell or its logs, hours behind UTC, with a Z behind it"

    def inject(self, site: Site) -> None:
        site.shell(_ZONE.format("America/Toronto"))
        site.kept["wall"] = site.shell("date '+%Y-%m-%d %H:%M:%S'")

    def asked(self, site: Site) -> Mapping[str, str]:
        return proof(f"time:{site.kept['wall']}Z")

    def undo(self, site: Site) -> None:
        site.shell(_ZONE.format("Etc/UTC"))


FAULT = TargetZoneHost()
