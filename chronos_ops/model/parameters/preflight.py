"""Parameters of the preflight (P4)."""

from typing import ClassVar

from chronos_ops.model.parameters.common import RunbookParameters


class Preflight(RunbookParameters):
    """See notebooks/preflight.ipynb."""

    needs_target: ClassVar[bool] = False
