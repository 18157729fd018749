"""The whole of the audit's batch, as one fact."""

from chronos_ops.facts import (
    audit_access,
    audit_backups,
    audit_network,
    audit_postgres,
    audit_system,
)
from chronos_ops.facts.audit import Reading, Readings, batch
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings


def readings(settings: Settings) -> tuple[Reading, ...]:
    """Every reading of the host."""
    rooms = (audit_access, audit_network, audit_system, audit_postgres, audit_backups)
    return tuple(reading for room in rooms for reading in room.readings(settings))


def audit_host(settings: Settings) -> Fact[Readings]:
    """What the controls judge: one round trip to the host."""
    return batch("audit_host", readings(settings))
