"""A rule of the linter, what it is applied to, and what it says."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from chronos_ops.model.finding import Status
from chronos_ops.model.schedule import Schedule
from chronos_ops.model.settings import Settings


@dataclass(frozen=True)
class Subject:
    """A target's parameters: as they are meant, and as they are written; and today.

    `schedules`: of this target on this machine, None where nobody looked; `login`: how its
    AWS profile logs in.
    """

    settings: Settings
    text: str
    today: datetime.date
    schedules: tuple[Schedule, ...] | None = None
    login: str = ""


@dataclass(frozen=True)
class Said:
    """What a rule's judge says."""

    status: Status
    observed: str


@dataclass(frozen=True)
class Rule:
    """Why it exists, where that is written, how it is mended."""

    id: str
    title: str
    expected: str
    why: str
    source: str
    mend: str
    judge: Callable[[Subject], Said]


def said(*, good: bool | None, observed: object) -> Said:
    """`good=None`: it cannot be known from the parameters."""
    status = Status.UNKNOWN if good is None else Status.PASS if good else Status.FAIL
    return Said(status, str(observed))


def not_applicable(why: str) -> Said:
    return Said(Status.NOT_APPLICABLE, why)
