"""The steps that cells name (`run.drill.detect`), each room opened by the runbook that needs it."""

from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chronos_ops.drill.session import DrillSession
    from chronos_ops.faults.session import Faults
    from chronos_ops.readiness.session import Readiness


class Rooms:
    """Imported at first use: a runbook pays for its own room alone."""

    @cached_property
    def preflight(self) -> ModuleType:
        """The looks before every run (`run.step("account", run.preflight.account)`)."""
        from chronos_ops.preflight import session

        return session

    @cached_property
    def drill(self) -> "DrillSession":
        """The steps of a disaster drill (`run.step("detect", run.drill.detect)`)."""
        from chronos_ops.drill.session import DrillSession

        return DrillSession()

    @cached_property
    def backup(self) -> ModuleType:
        """The steps of the backup runbook (`run.step("rights", run.backup.rights_check)`)."""
        from chronos_ops.drill import backup_steps

        return backup_steps

    @cached_property
    def hardening(self) -> ModuleType:
        """The proofs of the hardening runbook (`run.step("judges", run.hardening.judges)`)."""
        from chronos_ops.hardening import session

        return session

    @cached_property
    def monitoring(self) -> ModuleType:
        """The steps of the monitoring runbook (`run.step("flow", run.monitoring.metrics_flow)`)."""
        from chronos_ops.monitoring import session

        return session

    @cached_property
    def application(self) -> ModuleType:
        """The looks at an application's prerequisites (`run.application.image`)."""
        from chronos_ops.application import session

        return session

    @cached_property
    def readiness(self) -> "Readiness":
        """The judgement of the ten items (`run.step("items", run.readiness.items)`)."""
        from chronos_ops.readiness.session import Readiness

        return Readiness()

    @cached_property
    def faults(self) -> "Faults":
        """The strikes of the fault catalogue (`run.step("faults", run.faults.strike_all)`)."""
        from chronos_ops.faults.session import Faults

        return Faults()
