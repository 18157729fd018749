"""What every runbook takes."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class RunbookParameters(BaseModel):
    """Common parameters. A value of another type is an error, never converted (strict)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    needs_target: ClassVar[bool] = True  # False: that account or host fail is what it looks for

    target: str = "lab"  # parameters/<target>.yaml
    approve: str = ""  # headless consent to what changes the target: the target's name
    plan: bool = False  # dry run: show every change, touch nothing
