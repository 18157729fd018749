"""The linter of a target's parameters (R9): pure; a rule is one entry of a list."""

import datetime

from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.hardening import AcceptedException
from chronos_ops.plans.lint import access, backup, drill, monitoring, schedule
from chronos_ops.plans.lint.rule import Rule, Said, Subject

RULES: tuple[Rule, ...] = (
    *backup.RULES,
    *access.RULES,
    *drill.RULES,
    *monitoring.RULES,
    *schedule.RULES,
)

__all__ = ["RULES", "Rule", "Subject", "lint"]


def lint(subject: Subject) -> list[Finding]:
    """One finding for each rule, in the order of the rules. Raises UsageError: no such rule."""
    accepted = {e.control: e for e in subject.settings.lint_exceptions}
    if unknown := sorted(set(accepted) - {rule.id for rule in RULES}):
        raise UsageError(
            "lint_exceptions names a rule that there is not",
            ", ".join(unknown),
            hint="`./chronos lint TARGET --all` shows every rule's id",
        )
    return [_apply(rule, subject, accepted.get(rule.id)) for rule in RULES]


def _apply(rule: Rule, subject: Subject, exception: AcceptedException | None) -> Finding:
    said = rule.judge(subject)
    if exception is not None and said.status is Status.FAIL:
        said = _accepted(said, exception, subject.today)
    good = said.status in (Status.PASS, Status.NOT_APPLICABLE)
    return Finding(
        id=rule.id,
        status=said.status,
        title=rule.title,
        observed=said.observed,
        expected=rule.expected,
        hint="" if good else f"{rule.mend} Why: {rule.why} ({rule.source})",
        requirement="R9",
    )


def _accepted(said: Said, exception: AcceptedException, today: datetime.date) -> Said:
    """A failure that is accepted between two days; before and after them it is one."""
    if exception.accepted <= today < exception.expires:
        words = f"accepted by {exception.by} until {exception.expires}: {exception.reason}"
        return Said(Status.NOT_APPLICABLE, f"{said.observed} ({words})")
    word = "begins" if exception.accepted > today else "ended"
    when = exception.accepted if exception.accepted > today else exception.expires
    return Said(said.status, f"{said.observed} (its exception {word} on {when})")
