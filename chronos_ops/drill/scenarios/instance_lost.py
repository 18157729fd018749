"""The whole instance is lost: power failure, then deletion. Back to the latest archived commit."""

from chronos_ops.drill.abruptness import check_abrupt
from chronos_ops.drill.faults import lose_instance
from chronos_ops.drill.objectives import PhaseClock
from chronos_ops.drill.recovering import Check
from chronos_ops.drill.state import Drill
from chronos_ops.drill.synthetic import Synthetic, random_offset, wait_for_offset
from chronos_ops.execution.context import Context
from chronos_ops.model.outcome import Outcome


class InstanceLost(Synthetic):
    id = "instance_lost"
    title = "the database host is lost with its disk"

    def inject_fault(self, context: Context, drill: Drill) -> Outcome:
        offset = random_offset(context)
        wait_for_offset(context, drill, offset)
        struck, deletion = lose_instance(context, drill.primary)
        drill.keep("struck", struck)
        drill.keep("deletion", deletion)
        drill.keep("clock", PhaseClock(struck.began, struck.began_at))
        seen = struck.began - drill.window_began
        context.journal.note("fault", what=struck.what, offset_seconds=seen)
        return Outcome(
            summary=f"{struck.what}, {seen:.1f} s into an archive window "
            f"({context.settings.backup.archive_timeout_seconds} s). No shutdown, no "
            "checkpoint, no segment switch and no wait for the archiver came before it.",
            measures={"fault_at": struck.began_at.isoformat(), "fault_offset_wanted": offset},
        )

    def detect(self, context: Context, drill: Drill) -> Outcome:
        """The writer ends here: its record is of the lost host, whoever gets that address next."""
        outcome = super().detect(context, drill)
        drill.keep("record", drill.writer.stop(patience=0.2))
        return outcome

    def own_checks(self, drill: Drill) -> dict[str, Check]:
        host, end = drill.host, drill.recovery.redo_end
        start = drill.backup.lsn_stop
        return {
            "abrupt": lambda: [
                check_abrupt(
                    host.ssh,
                    host.bin_dir,
                    host.data_directory,
                    start,
                    end,
                    drill.record.errors,
                )
            ]
        }


SCENARIO = InstanceLost()
