"""What every runbook takes."""

from pydantic import BaseModel, ConfigDict


class RunbookParameters(BaseModel):
    """Common parameters. A value of another type is an error, never converted (strict)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    target: str = "lab"  # parameters/<target>.yaml
    approve: str = ""  # headless consent to what changes the target: the target's name
    plan: bool = False  # dry run: show every change, touch nothing
