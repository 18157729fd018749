"""What a check found. Not known is never passed."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from chronos_ops.model.errors import ChronosError

WOULD_BE_REFUSED = ".would-be-refused"  # how the id of a dry run's finding ends


class Status(StrEnum):
    """Result of one check."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"  # the check itself broke
    UNKNOWN = "unknown"  # it could not be known
    NOT_APPLICABLE = "not_applicable"


class Finding(BaseModel):
    """One judged statement about the world, with what was seen and what was wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str  # stable, dotted: "backup.archive.reaches-repository"
    status: Status
    title: str
    observed: str
    expected: str
    hint: str = ""
    requirement: str = ""  # "B9"

    @property
    def good(self) -> bool:
        """True only on positive proof (or where the check has no object here)."""
        return self.status in (Status.PASS, Status.NOT_APPLICABLE)


def judge(
    identifier: str,
    title: str,
    *,
    passed: bool | None,
    observed: object,
    expected: object,
    hint: str = "",
    requirement: str = "",
) -> Finding:
    """A finding from a comparison; `passed=None` means that it could not be known."""
    status = Status.UNKNOWN if passed is None else Status.PASS if passed else Status.FAIL
    return Finding(
        id=identifier,
        status=status,
        title=title,
        observed=str(observed),
        expected=str(expected),
        hint="" if status is Status.PASS else hint,
        requirement=requirement,
    )


def not_known(identifier: str, title: str, error: ChronosError, requirement: str) -> Finding:
    """A look that could not be taken: never passed."""
    return Finding(
        id=identifier,
        status=Status.ERROR if error.exit_status == 1 else Status.UNKNOWN,
        title=title,
        observed=error.noun + (f": {error.value}" if error.value is not None else ""),
        expected="it can be looked at",
        hint=error.hint,
        requirement=requirement,
    )


def broken_rule(error: ChronosError) -> Finding | None:
    """The finding that an error carries; None: it names none."""
    rule = error.breaks
    if rule is None:
        return None
    return judge(
        rule.id,
        rule.title,
        passed=None if error.exit_status == 3 else False,
        observed=error.noun + (f": {error.value}" if error.value is not None else ""),
        expected=rule.expected,
        hint=error.hint,
        requirement=rule.requirement,
    )
