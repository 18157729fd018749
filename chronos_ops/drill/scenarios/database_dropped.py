"""Somebody drops a whole database, whose name wants quoting. Back to just before; it returns."""

from chronos_ops.drill import sample
from chronos_ops.drill.dropping import Dropping
from chronos_ops.drill.faults import Dropped, drop_database
from chronos_ops.drill.integrity import conninfo
from chronos_ops.drill.state import Drill
from chronos_ops.execution.context import Context
from chronos_ops.model.outcome import Outcome


class DatabaseDropped(Dropping):
    """The drop's own transaction is no target: its files are gone before it commits."""

    id = "database_dropped"
    title = "a whole database is dropped by mistake"
    probe_database = sample.AWKWARD_DATABASE
    kinds = ("lsn", "name", "time")

    def strike(self, context: Context, drill: Drill) -> Dropped:
        return drop_database(context, drill.primary, sample.AWKWARD_DATABASE)

    def bring_back(self, context: Context, drill: Drill) -> Outcome:
        name = sample.AWKWARD_DATABASE
        dump = ["pg_dump", "--format=custom", "--create", f"--dbname={conninfo(name)}"]
        restore = ["pg_restore", "--create", "--exit-on-error", "--dbname=postgres"]
        moved = self.move(context, drill, dump, restore)
        return self.compared(drill, moved, f"Database `{name}`")


SCENARIO = DatabaseDropped()
