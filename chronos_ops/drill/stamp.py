"""What a passed drill leaves on the declared host: the publisher sends its age (M8)."""

import time

from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.result import Verdict
from chronos_ops.plans.publisher import DRILL_STAMP

RUNBOOK = "disaster_recovery"


def leave_stamp(runbook: str, context: Context, verdict: Verdict) -> list[str]:
    """Stamp the declared host after a passed drill, of whatever scenario; what is to be said.

    A host that cannot be written to does not undo the recovery that was proven: it is said, kept in
    the journal, and `drill_age_hours` goes on growing.
    """
    recovered = getattr(context.parameters, "mode", "") == "recover"  # no drill
    if runbook != RUNBOOK or recovered or verdict is not Verdict.PASSED:
        return []
    try:
        context.ssh.put(DRILL_STAMP, f"{time.time():.0f} {context.run_id}\n")
    except ChronosError as error:
        context.journal.note("drill-stamp", path=DRILL_STAMP, left=False, error=error.text())
        said = f"The declared host could **not** be told of this passed drill ({error.noun}): "
        return [f"{said}its monitoring still counts from the one before."]
    context.journal.note("drill-stamp", path=DRILL_STAMP, left=True)
    return []
