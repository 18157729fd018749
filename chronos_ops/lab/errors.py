"""What goes wrong with a lab."""

from chronos_ops.model.errors import ChronosError


class LabError(ChronosError):
    """The lab could not do it; what a runbook would say about the target is not known (exit 3).

    `kind` is for programs: `failed`, `unknown_host`, `refused` or `unanswered`.
    """

    exit_status = 3

    def __init__(
        self, noun: str, value: object = None, *, hint: str = "", kind: str = "failed"
    ) -> None:
        super().__init__(noun, value, hint=hint)
        self.kind = kind


class LabImpossible(LabError):
    """This machine cannot run a lab; nothing was touched (exit 2)."""

    exit_status = 2
