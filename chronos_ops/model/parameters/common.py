"""What every runbook takes."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, model_validator

Need = Literal["sudo", "clock"]


class RunbookParameters(BaseModel):
    """Common parameters. A value of another type is an error, never converted (strict)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    needs_target: ClassVar[bool] = True  # False: that account or host fail is what it looks for
    needs: ClassVar[tuple[Need, ...]] = ("sudo",)  # looked at before anything is touched (P4)

    target: str = "lab"  # parameters/<target>.yaml
    approve: str = ""  # headless consent to what changes the target: the target's name
    plan: bool = False  # dry run: show every change, touch nothing

    @property
    def waiting_seconds(self) -> float:
        """By how much a run's own limits are extended: it waits for somebody else."""
        return 0.0

    @property
    def reaches_target(self) -> bool:
        """Whether the declared host must answer before anything is begun."""
        return self.needs_target


class ChangingParameters(RunbookParameters):
    """What a runbook takes that brings a target to what is declared."""

    check_only: bool = False  # judge only: a change that is due is a finding, and is not made

    @model_validator(mode="after")
    def _one_kind_of_look(self) -> "ChangingParameters":
        if self.plan and self.check_only:
            raise ValueError(
                "plan and check_only exclude each other: a dry run shows changes and passes no "
                "judgement on them, check_only fails on them"
            )
        return self
