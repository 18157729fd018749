"""The linter of a target's parameters (R9): pure; a rule is one entry of a list."""

from chronos_ops.model.finding import Finding, Status
from chronos_ops.plans.lint import access, backup, drill, monitoring
from chronos_ops.plans.lint.rule import Rule, Subject

RULES: tuple[Rule, ...] = (*backup.RULES, *access.RULES, *drill.RULES, *monitoring.RULES)

__all__ = ["RULES", "Rule", "Subject", "lint"]


def lint(subject: Subject) -> list[Finding]:
    """One finding for each rule, in the order of the rules."""
    return [_apply(rule, subject) for rule in RULES]


def _apply(rule: Rule, subject: Subject) -> Finding:
    said = rule.judge(subject)
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
