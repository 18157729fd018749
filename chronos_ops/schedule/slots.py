"""What became of each moment of a schedule: its run, or that there was none (failure 27)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chronos_ops.model.calendar import parse_calendar
from chronos_ops.model.schedule import Schedule
from chronos_ops.schedule.claims import Claims

MISSED = "missed"
DUE = "due"
_START_SECONDS = 120  # from the timer to the claim: an environment may have to be made first


@dataclass(frozen=True)
class Slot:
    """`state`: a verdict, `running`, `unknown, needs a human`, `not run: …`, `due`, `missed`."""

    at: datetime
    state: str
    run_id: str = ""


def slots(schedule: Schedule, claims: Claims, since: datetime, now: datetime) -> list[Slot]:
    """Those from `since` to `now`, the oldest first."""
    made = {claim.slot: claim for claim in claims.all() if claim.runbook == schedule.runbook}
    found = []
    for at in parse_calendar(schedule.calendar).between(since, now):
        claim = made.get(f"{at:%Y%m%dT%H%M%SZ}")
        if claim is not None:
            found.append(Slot(at, claims.state(claim), claim.run_id))
            continue
        late = now > at + timedelta(seconds=schedule.delay_seconds + _START_SECONDS)
        found.append(Slot(at, MISSED if late else DUE))
    return found
