"""Errors that name the noun, show the value and hint the mend."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What a run relies on, and an error may break: recorded as a failed finding of that id."""

    id: str  # stable, dotted
    title: str
    expected: str
    requirement: str = ""


class ChronosError(Exception):
    """Base of every error that is meant for an operator's eyes.

    `noun` is what was wrong, `value` what was seen, `hint` how to mend it. With `breaks` it is
    something found out about the world: the run ends there, with a record (exit 1, never 2).
    """

    exit_status = 1

    def __init__(
        self, noun: str, value: object = None, *, hint: str = "", breaks: Rule | None = None
    ) -> None:
        self.noun = noun
        self.value = value
        self.hint = hint
        self.breaks = breaks
        if breaks is not None and self.exit_status == 2:
            self.exit_status = 1
        super().__init__(self.text())

    def text(self) -> str:
        shown = "" if self.value is None else f": {self.value}"
        return f"{self.noun}{shown}" + (f"\n  hint: {self.hint}" if self.hint else "")

    def add(self, *said: str) -> None:
        """Say more to the operator, behind the hint."""
        self.hint = "; ".join(text for text in (self.hint, *said) if text)
        self.args = (self.text(),)


class UsageError(ChronosError):
    """Wrong usage or parameters: raised before anything was touched (exit 2)."""

    exit_status = 2


class Refused(ChronosError):
    """A guard said no: not approved, a live cluster, a host this run did not make."""

    exit_status = 2


class UnfitTarget(ChronosError):
    """What was found on the target must not be built upon: a finding about it (exit 1)."""


class TransportError(ChronosError):
    """The way to the host, database or service failed; what is there is not known (exit 3)."""

    exit_status = 3


class CommandFailed(ChronosError):
    """The command ran and answered with an exit code that was not accepted."""

    def __init__(
        self, noun: str, exit_code: int, output: str, *, hint: str = "", breaks: Rule | None = None
    ) -> None:
        self.exit_code = exit_code
        self.output = output
        tail = "\n".join(output.strip().splitlines()[-15:])
        super().__init__(noun, f"exit code {exit_code}\n{tail}", hint=hint, breaks=breaks)


class UnreadableAnswer(ChronosError):
    """A parser met output it does not know: the fact is unknown, never passed."""

    exit_status = 3


class Deviated(ChronosError):
    """An objective was missed or a check failed; everything ran (exit 1)."""
