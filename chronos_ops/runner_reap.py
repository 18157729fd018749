"""Remove what runs have left: killed ones, failed teardowns, forgotten drill hosts (D4)."""

from collections.abc import Callable
from pathlib import Path

from chronos_ops.connectors.aws import Aws
from chronos_ops.evidence.folder import target_lock
from chronos_ops.execution.provision import destroy, list_drill_instances
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.settings import Settings
from chronos_ops.runner_unfinished import runs_of, seal_unfinished, tear_down_again
from chronos_ops.schedule.claims import Claims

Say = Callable[[str], None]


def reap(settings: Settings, outputs: Path, say: Say, aws: Aws | None = None) -> list[str]:
    """Names of what is still there afterwards; empty: nothing of any run is left.

    Holds the target's lock, so a run under way on it is never reaped: raises UsageError. Instances
    count from `drill.reap_after_hours` on: a younger one may be another machine's running drill.
    """
    folder = outputs / settings.target
    with target_lock(outputs, settings.target):
        seal_unfinished(folder, settings, say)
        stayed = tear_down_again(runs_of(folder), settings, say) + _claims(Claims(folder), say)
        return stayed + _instances(settings, aws or Aws(settings.aws), say)


def _claims(claims: Claims, say: Say) -> list[str]:
    """Slots whose process is gone; a run that is sealed now is its slot's verdict (R2)."""
    for name in claims.free():
        say(f"freed the slot {name}: killed before its run began")
    return [f"the slot {claim.slot} of {claim.run_id}" for claim in claims.stale()]


def _instances(settings: Settings, aws: Aws, say: Say) -> list[str]:
    """Tagged instances whose run is long over, also those whose folder is not on this machine."""
    stayed: list[str] = []
    for drill in list_drill_instances(aws):
        shown = f"{drill.name} of run {drill.run_id}, {drill.age_hours:.0f} h old"
        if drill.age_hours <= settings.drill.reap_after_hours:
            say(f"left alone: {shown} (younger than {settings.drill.reap_after_hours:g} h)")
            continue
        try:
            destroy(aws, drill.name, drill.run_id)
            say(f"removed {shown}")
        except ChronosError as error:
            say(error.text())
            stayed.append(shown)
    return stayed
