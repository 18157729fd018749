"""Parameters of the disaster-recovery drill (D)."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters.common import Need, RunbookParameters
from chronos_ops.model.recovery_target import parse_target
from chronos_ops.model.timing import utc_now


class DisasterRecovery(RunbookParameters):
    """See notebooks/disaster_recovery.ipynb."""

    needs: ClassVar[tuple[Need, ...]] = ("sudo", "clock")  # a recovery target is a moment

    mode: Literal["drill", "recover"] = "drill"  # recover: the database is lost, and comes back
    lost_instance: str = ""  # recover: the declared instance, once more; it is given up
    although_alive: bool = False  # recover: give it up although its database answers
    although_findings: bool = False  # recover: cut over to a copy in which a check failed
    scenario: str = "instance_lost"  # one of the registry: chronos_ops/drill/scenarios/
    sample_megabytes: int = Field(16, ge=1)  # size of the generated test data
    commits_per_second: float = Field(20.0, gt=0)  # rate of the outside writer
    fault_offset_seconds: float = -1.0  # when the fault strikes in the archive window; -1: random
    recovery_target: str = ""  # "time:…", "lsn:…", "xid:…", "name:…"; empty: the scenario's own
    pitr_cells: str = ""  # pitr_matrix: names of its cells, with commas; empty: all
    probe_failures: int = Field(3, ge=1)  # outside probes that must fail before it counts as down
    objective_recovery_time_seconds: float = Field(0.0, ge=0)  # 0: the target's own objective
    objective_recovery_point_seconds: float = Field(0.0, ge=0)  # 0: the target's own objective

    @field_validator("recovery_target")
    @classmethod
    def _readable(cls, value: str) -> str:
        try:
            parse_target(value, utc_now())
        except UsageError as error:
            if error.breaks is None:  # else understood, and out of reach: the run's to record
                raise ValueError(error.text()) from None
        return value

    @property
    def reaches_target(self) -> bool:
        """A recovery for real begins because the host does not answer (D9)."""
        return self.mode == "drill"

    @model_validator(mode="after")
    def _of_one_mode(self) -> "DisasterRecovery":
        """A drill's command with a typo must give nothing up; nor the other way round."""
        if self.mode == "recover":
            if not self.lost_instance:
                raise ValueError("mode recover needs lost_instance: the instance that is given up")
            if self.scenario != type(self).model_fields["scenario"].default:
                raise ValueError("mode recover knows no scenario: it is no drill")
        elif self.lost_instance or self.although_alive or self.although_findings:
            raise ValueError(
                "lost_instance, although_alive and although_findings are for mode recover"
            )
        return self
