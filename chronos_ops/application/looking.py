"""How a prerequisite is judged: what is not declared is missing, what did not answer is unknown."""

from collections.abc import Callable

from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge, not_known
from chronos_ops.model.outcome import Outcome


def undeclared(what: str, title: str) -> Finding:
    """A prerequisite that nobody has named cannot be met."""
    return judge(
        f"application.{what}.declared",
        title,
        passed=False,
        observed="nothing is declared",
        expected=f"`application.{what}` in the parameter file",
        hint="parameters/production.example.yaml shows it",
        requirement="A1",
    )


def looked(what: str, title: str, look: Callable[[], list[Finding]]) -> Outcome:
    """The findings of one prerequisite; a look that broke is one of them."""
    try:
        findings = look()
    except ChronosError as error:
        findings = [not_known(f"application.{what}", title, error, "A1")]
    missing = [finding for finding in findings if not finding.good]
    told = "; ".join(f"{f.title}: {f.observed}" for f in missing)
    return Outcome(summary=f"Missing: {told}." if missing else f"{title}.", findings=findings)
