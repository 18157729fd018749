"""Remove what runs have left: killed ones, failed teardowns, forgotten drill hosts (D4)."""

from collections.abc import Callable
from pathlib import Path

from chronos_ops.connectors.aws import Aws
from chronos_ops.evidence.archiving import archive_sealed
from chronos_ops.evidence.folder import PARAMETERS, target_lock
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.manifest import write_manifest
from chronos_ops.evidence.record import RESULT
from chronos_ops.execution.provision import destroy, list_drill_instances
from chronos_ops.execution.rollback import pending_resources
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.settings import Settings
from chronos_ops.runner_unfinished import seal_unfinished, tear_down
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
        stayed = _ended_runs(folder, settings, say) + _claims(Claims(folder), say)
        return stayed + _instances(settings, aws or Aws(settings.aws), say)


def _ended_runs(folder: Path, settings: Settings, say: Say) -> list[str]:
    """Teardowns tried again, from the runs' own journals."""
    stayed: list[str] = []
    for start in sorted(folder.glob(f"*/{PARAMETERS}")):
        run = start.parent
        if not pending_resources(run):
            continue
        if (run / RESULT).exists():  # the others were tried just now
            say(f"{run.name} did not remove all that it made")
            tear_down(run, FileJournal(run), say)
            write_manifest(run, ("torn down again after its end, by `chronos reap`",))
            archive_sealed(run, settings, say)
        stayed += [f"{name} of {run.name}" for name, _ in pending_resources(run)]
    return stayed


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
