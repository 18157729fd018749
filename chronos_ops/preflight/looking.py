"""A look and its findings: one that breaks is a finding of its own, and the others go on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, not_known
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.plan import Plan
from chronos_ops.model.stage import Stage


@dataclass(frozen=True)
class Look:
    """`take` gives the findings; where it cannot, a finding of this id says why."""

    id: str
    title: str
    requirement: str
    take: Callable[[Context], list[Finding]]


def dry(context: Context, stage: Stage) -> Plan:
    """What another runbook's stage would do now. Changes nothing."""
    facts = stage.ask(context.settings)
    return stage.plan(context.settings, {name: context.ask(fact) for name, fact in facts.items()})


def looked(context: Context, what: str, looks: Sequence[Look]) -> Outcome:
    """All findings of a group. Raises nothing that an operator could mend."""
    findings: list[Finding] = []
    for look in looks:
        context.say(f"{look.title} …")
        try:
            findings += look.take(context)
        except ChronosError as error:
            findings.append(not_known(look.id, look.title, error, look.requirement))
    wrong = [finding.title for finding in findings if not finding.good]
    said = f"not met: {'; '.join(wrong)}" if wrong else "as it must be"
    return Outcome(summary=f"{what}: {said}.", findings=findings)
