"""The journal as the rest of the house sees it: a line before the deed, closed in `finally`."""

from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from chronos_ops.model.plan import Deed
from chronos_ops.model.secret import Secret

# step: a cell's work; remote: time spent in a host, database or service; wait: waiting for a
# condition; deed: one change; phase: a phase of a recovery.
IntervalKind = Literal["run", "step", "remote", "wait", "deed", "phase"]


class Journal(Protocol):
    """Append-only `journal.jsonl` of a run; every line is on disk when the call returns."""

    def interval(
        self, kind: IntervalKind, name: str, **data: Any
    ) -> AbstractContextManager[dict[str, Any]]:
        """Write `begin`, and in `finally` `end` with seconds and status (ok, error, interrupted).

        What is put into the yielded dictionary is written with the `end` line.
        """

    def resource(self, name: str, undo: tuple[Deed, ...]) -> None:
        """A resource is about to be created (before the deed); `undo` removes it."""

    def removed(self, name: str) -> None:
        """The resource was removed, and a probe has seen that it is gone."""

    def kept(self, names: tuple[str, ...], why: str) -> None:
        """These resources stay: from now on no teardown of this run undoes them."""

    def note(self, name: str, **data: Any) -> None:
        """A fact worth keeping (a random offset, a chosen target)."""

    def keep_secret(self, secret: Secret) -> None:
        """From now on this text is redacted in everything that the run writes (R5)."""
