"""What a person sees in the terminal while a run goes on: one line a step, with its duration."""

import re
from typing import Any

from rich.console import Console
from rich.markup import escape

from chronos_ops.evidence.display import duration
from chronos_ops.evidence.steps import StepRecord

_MARKS = {"ok": "[green]✓[/]", "would_run": "[cyan]○[/]"}


class Progress:
    """Lines on standard error; on a terminal also what the running step says about itself."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._status: Any = None

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(escape(text))

    def begin(self, name: str) -> None:
        """A step begins."""
        if self._console.is_terminal:
            self._status = self._console.status(escape(name))
            self._status.start()
        self._name = name

    def line(self, text: str) -> None:
        """What the running step says; replaces the last such line."""
        if self._status is not None:
            self._status.update(escape(f"{self._name}: {text[:100]}"))

    def end(self, name: str, seconds: float, record: StepRecord | None, error: str) -> None:
        """A step ended."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        mark = "[red]✗[/]" if error else _MARKS.get(record.status if record else "ok", "[red]✗[/]")
        said = error.splitlines()[0] if error else _said(record)
        padded = escape(f"{name:<28} {duration(seconds):>10}  {said}".rstrip())
        line = f" {mark} {padded}"
        if self._console.is_terminal:
            self._console.print(line, overflow="ellipsis", no_wrap=True)
        else:  # a log has no width
            self._console.print(line, soft_wrap=True)


def _said(record: StepRecord | None) -> str:
    if record is None or record.outcome is None:
        return ""
    first = record.outcome.summary.strip().split("\n")[0]
    return re.sub(r"[*`]", "", first)
