"""Parameters of the production readiness (R8)."""

from typing import ClassVar

from pydantic import Field

from chronos_ops.model.parameters.common import RunbookParameters


class ProductionReadiness(RunbookParameters):
    """See notebooks/production_readiness.ipynb."""

    needs_target: ClassVar[bool] = False

    longest_age_days: int = Field(35, ge=1)  # older evidence does not count
