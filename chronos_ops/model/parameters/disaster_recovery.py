"""Parameters of the disaster-recovery drill (D)."""

from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters.common import Need, RunbookParameters
from chronos_ops.model.recovery_target import parse_target
from chronos_ops.model.timing import utc_now

_LARGEST = 1_000_000  # megabytes of generated data


class DisasterRecovery(RunbookParameters):
    """See notebooks/disaster_recovery.ipynb."""

    needs: ClassVar[tuple[Need, ...]] = ("sudo", "clock")  # a recovery target is a moment

    mode: Literal["drill", "recover"] = "drill"  # recover: the database is lost, and comes back
    lost_instance: str = ""  # recover: the declared instance, once more; it is given up
    although_alive: bool = False  # recover: give it up although its database answers
    although_findings: bool = False  # recover: cut over to a copy in which a check failed
    scenario: str = "instance_lost"  # one of the registry: chronos_ops/drill/scenarios/
    sample_megabytes: int = Field(16, ge=1)  # size of the generated test data
    commits_per_second: float = Field(20.0, ge=0, allow_inf_nan=False)  # 0: as fast as possible
    fault_offset_seconds: float = -1.0  # when the fault strikes in the archive window; -1: random
    recovery_target: str = ""  # "time:…", "lsn:…", "xid:…", "name:…"; empty: the scenario's own
    pitr_cells: str = ""  # pitr_matrix: names of its cells, with commas; empty: all
    repeat: int = Field(1, ge=1)  # passes of the whole sequence; more than 1: a distribution
    forecast_megabytes: str = ""  # sizes restored for the forecast: "64,256,1024"; empty: none
    probe_failures: int = Field(3, ge=1)  # outside probes that must fail before it counts as down
    long_term_label: str = ""  # long_term_set: a backup set of repo2; empty: its oldest full
    thaw_tier: Literal["standard", "bulk"] = "standard"  # Deep Archive: 12 h or 48 h
    thaw_days: int = Field(3, ge=1, le=90)  # how long the thawed copies stay
    thaw_patience_hours: float = Field(0.0, ge=0, le=240)  # 0: 15 h standard, 60 h bulk
    thaw_limit_usd: float = Field(5.0, ge=0, allow_inf_nan=False)  # a dearer thaw is refused
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

    @field_validator("forecast_megabytes")
    @classmethod
    def _sizes(cls, value: str) -> str:
        for word in filter(None, (part.strip() for part in value.split(","))):
            if not (word.isascii() and word.isdigit() and 0 < int(word) <= _LARGEST):
                raise ValueError(
                    f"{word!r} is no size: whole megabytes from 1 to {_LARGEST}, with commas"
                )
        return value

    @property
    def forecast_sizes(self) -> list[int]:
        """Megabytes to be restored for the forecast, the smallest first; twice: a repeat."""
        return sorted(int(part) for part in self.forecast_megabytes.split(",") if part.strip())

    def patience(self, commits: int) -> float:
        """Seconds within which the outside writer has certainly made so many commits."""
        return 60 + (3 * commits / self.commits_per_second if self.commits_per_second else 0)

    @property
    def thaw_seconds(self) -> float:
        """How long a thaw is waited for: as given, or Deep Archive's own time and a quarter."""
        return 3600 * (self.thaw_patience_hours or {"standard": 15.0, "bulk": 60.0}[self.thaw_tier])

    @property
    def waiting_seconds(self) -> float:
        """A run may take so much longer than others: it waits for S3."""
        return self.thaw_seconds if self.scenario == "long_term_set" else 0.0

    @model_validator(mode="after")
    def _copies_outlast_the_wait(self) -> "DisasterRecovery":
        if self.waiting_seconds > self.thaw_days * 86400:
            hours = self.waiting_seconds / 3600
            raise ValueError(
                f"thaw_days {self.thaw_days}: the first copies may be gone before the last one is "
                f"there ({hours:g} h of patience)"
            )
        return self

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
            if self.repeat > 1 or self.forecast_sizes:
                raise ValueError("repeat and forecast_megabytes are for drills, not mode recover")
        elif self.lost_instance or self.although_alive or self.although_findings:
            raise ValueError(
                "lost_instance, although_alive and although_findings are for mode recover"
            )
        return self
