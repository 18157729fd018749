"""How a control's judge answers, and how a control is written down in one call."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.finding import Status
from chronos_ops.model.settings import Settings

Values = Mapping[str, Any]
Judge = Callable[[Settings, Values], Verdict]
CIS = "CIS Debian Linux 12 Benchmark"
CIS_POSTGRES = "CIS PostgreSQL 16 Benchmark"


def control(
    identifier: str,
    title: str,
    reference: str,
    reads: str,
    judge: Judge,
    mend: str,
) -> Control:
    """A control; its area is the first part of its id. `reads`: names separated by blanks."""
    area = identifier.partition(".")[0]
    return Control(identifier, area, title, reference, tuple(reads.split()), judge, mend)


def judged(passed: bool, observed: object, expected: object) -> Verdict:
    """Pass or fail, by a comparison."""
    return Verdict(Status.PASS if passed else Status.FAIL, str(observed), str(expected))


def not_applicable(why: str, expected: object) -> Verdict:
    """There is nothing here that could be judged."""
    return Verdict(Status.NOT_APPLICABLE, why, str(expected))


def none_of(wrong: Iterable[object], expected: str) -> Verdict:
    """Passes where nothing wrong was met; else what was met is shown (at most eight of it)."""
    listed = [str(item) for item in wrong]
    shown = ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")
    return judged(not listed, shown or "none", expected)


def number(text: str | None) -> int | None:
    """A whole number, or None."""
    return int(text) if text is not None and text.lstrip("-").isdigit() else None
