"""Are the variables there? Names are compared; a value never leaves the place where it lies."""

import re

from chronos_ops.application.looking import looked, undeclared
from chronos_ops.execution.context import Context
from chronos_ops.facts import application
from chronos_ops.facts.application import Variables
from chronos_ops.model.application import Environment
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.secret import Secret

_ASSIGNED = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$", re.MULTILINE)
_TITLE = "The environment's variables have values"


def environment(context: Context) -> Outcome:
    """Look for the declared variables by name; values are not shown."""
    declared = context.settings.application.environment
    if declared is None:
        return looked("environment", _TITLE, lambda: [undeclared("environment", _TITLE)])
    return looked("environment", _TITLE, lambda: judged(declared, _found(context, declared)))


environment.probe = True  # type: ignore[attr-defined] # reads only


def judged(declared: Environment, found: Variables | None) -> list[Finding]:
    """Every declared name, and that a file is not for everybody's eyes."""
    place = declared.file or declared.secret or ""
    missing = [n for n in declared.names if found is None or n not in found.given | found.empty]
    empty = [name for name in declared.names if found and name in found.empty]
    said = [f"not in {place}: {', '.join(missing)}"] if missing else []
    said += [f"without a value: {', '.join(empty)}"] if empty else []
    findings = [
        judge(
            "application.environment",
            _TITLE,
            passed=not said,
            observed=f"{place} is not there"
            if found is None
            else "; ".join(said) or f"{len(declared.names)} in {place}",
            expected=", ".join(declared.names),
            hint=f"put them into {place}",
            requirement="A1",
        )
    ]
    if declared.file and found is not None:
        findings.append(
            judge(
                "application.environment.file-mode",
                "The environment's file is not for everybody's eyes",
                passed=found.mode[-1] == "0",
                observed=f"mode {found.mode}",
                expected="no rights for others",
                hint=f"chmod o= {declared.file}",
                requirement="A1",
            )
        )
    return findings


def read_names(text: str) -> Variables:
    """The names in NAME=value lines, as `facts.application` reads them on a host."""
    given = dict(_ASSIGNED.findall(text))
    empty = frozenset(name for name, value in given.items() if value.strip() in ("", '""', "''"))
    return Variables(frozenset(given) - empty, empty)


def _found(context: Context, declared: Environment) -> Variables | None:
    if declared.file is not None:
        return context.ask(application.variables(declared.file))
    name = declared.secret or ""
    if not context.aws.ask_secret_exists(name):
        return None
    secret = context.aws.get_secret(name)
    context.journal.keep_secret(secret)  # redacted from now on, each value too
    for _, value in _ASSIGNED.findall(secret.reveal()):
        if bare := value.strip().strip("\"'"):
            context.journal.keep_secret(Secret(bare))
    return read_names(secret.reveal())
