"""The parameter file is sound in itself: the linter's rules, inside the preflight (R9)."""

from chronos_ops.execution.context import Context
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.settings import parameters_dir
from chronos_ops.model.timing import utc_now
from chronos_ops.plans.lint import Subject, lint
from chronos_ops.preflight.looking import Look, looked


def declared(context: Context) -> Outcome:
    """Every rule of `./chronos lint`. Asks nobody."""
    title = "The parameter file is sound in itself"
    return looked(context, "Parameters", (Look("preflight.parameters", title, "R9", _rules),))


declared.probe = True  # type: ignore[attr-defined] # reads only


def _rules(context: Context) -> list[Finding]:
    path = parameters_dir() / f"{context.settings.target}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError("the parameter file cannot be read", error) from None
    return lint(Subject(context.settings, text, utc_now().date()))
