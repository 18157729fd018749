"""Parameters of the disaster-recovery drill (D)."""

from typing import ClassVar

from pydantic import Field, field_validator

from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters.common import Need, RunbookParameters
from chronos_ops.model.recovery_target import parse_target
from chronos_ops.model.timing import utc_now


class DisasterRecovery(RunbookParameters):
    """See notebooks/disaster_recovery.ipynb."""

    needs: ClassVar[tuple[Need, ...]] = ("sudo", "clock")  # a recovery target is a moment

    scenario: str = "instance_lost"  # one of the registry: chronos_ops/drill/scenarios/
    sample_megabytes: int = Field(16, ge=1)  # size of the generated test data
    commits_per_second: float = Field(20.0, gt=0)  # rate of the outside writer
    fault_offset_seconds: float = -1.0  # when the fault strikes in the archive window; -1: random
    recovery_target: str = ""  # "time:…", "lsn:…", "xid:…", "name:…"; empty: the scenario's own
    probe_failures: int = Field(3, ge=1)  # outside probes that must fail before it counts as down
    objective_recovery_time_seconds: float = Field(0.0, ge=0)  # 0: the target's own objective
    objective_recovery_point_seconds: float = Field(0.0, ge=0)  # 0: the target's own objective

    @field_validator("recovery_target")
    @classmethod
    def _readable(cls, value: str) -> str:
        try:
            parse_target(value, utc_now())
        except UsageError as error:
            raise ValueError(error.text()) from None
        return value
