"""Parameters of the fault catalogue: how many of the known faults are detected."""

from typing import ClassVar

from pydantic import Field

from chronos_ops.model.parameters.common import Need, RunbookParameters


class FaultCatalogue(RunbookParameters):
    """See notebooks/fault_catalogue.ipynb."""

    needs_target: ClassVar[bool] = False  # every fault gets a lab of its own
    needs: ClassVar[tuple[Need, ...]] = ()

    only: str = ""  # ids of faults, separated by commas; empty: all of them
    controls: int = Field(1, ge=1)  # runs without a fault before the faults, of each runbook
    jobs: int = Field(2, ge=1, le=8)  # labs at a time
