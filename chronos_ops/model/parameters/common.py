"""What every runbook takes."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

Need = Literal["sudo", "clock"]


class RunbookParameters(BaseModel):
    """Common parameters. A value of another type is an error, never converted (strict)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    needs_target: ClassVar[bool] = True  # False: that account or host fail is what it looks for
    needs: ClassVar[tuple[Need, ...]] = ("sudo",)  # looked at before anything is touched (P4)

    target: str = "lab"  # parameters/<target>.yaml
    approve: str = ""  # headless consent to what changes the target: the target's name
    plan: bool = False  # dry run: show every change, touch nothing
