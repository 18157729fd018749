"""Somebody drops a table in production. Back to just before, on a host beside; the rows return."""

from chronos_ops.drill import sample
from chronos_ops.drill.dropping import Dropping
from chronos_ops.drill.faults import Dropped, drop_table
from chronos_ops.drill.integrity import conninfo
from chronos_ops.drill.state import Drill
from chronos_ops.execution.context import Context
from chronos_ops.model.outcome import Outcome


class TableDropped(Dropping):
    id = "table_dropped"
    title = "a table is dropped by mistake"
    probe_sql = "SELECT id FROM shop.orders LIMIT 1"

    def strike(self, context: Context, drill: Drill) -> Dropped:
        return drop_table(context, drill.primary, sample.DATABASE, sample.ORDERS)

    def bring_back(self, context: Context, drill: Drill) -> Outcome:
        database = f"--dbname={conninfo(sample.DATABASE)}"
        dump = ["pg_dump", "--format=custom", database]
        dump += [f"--table={name}" for name in (sample.ORDERS, sample.BY_REGION)]
        restore = ["pg_restore", "--single-transaction", "--exit-on-error", database]
        moved = self.move(context, drill, dump, restore)
        return self.compared(drill, moved, f"`{sample.ORDERS}`")


SCENARIO = TableDropped()
