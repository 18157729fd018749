"""What commands take: completion of names, and `-p key=value`."""

from typing import Annotated

import typer

from chronos_ops.cli import shelf
from chronos_ops.model.errors import UsageError


def complete_runbook(incomplete: str) -> list[str]:
    """Names of runbooks that begin so."""
    return [r.name for r in shelf.runbooks() if r.name.startswith(incomplete)]


def complete_target(incomplete: str) -> list[str]:
    """Names of targets that begin so."""
    return [name for name in shelf.targets() if name.startswith(incomplete)]


def complete_scenario(incomplete: str) -> list[str]:
    """Names of scenarios that begin so."""
    return [name for name in shelf.scenarios() if name.startswith(incomplete)]


def complete_run(incomplete: str) -> list[str]:
    """Ids of runs that begin so."""
    known = ["latest", *(run.run_id for run in shelf.runs())]
    return [name for name in known if name.startswith(incomplete)]


RunbookArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUNBOOK", help="Name of a runbook: see `list`.", autocompletion=complete_runbook
    ),
]
TargetOption = Annotated[
    str,
    typer.Option(
        "--target",
        metavar="NAME",
        help="The target: parameters/NAME.yaml.",
        autocompletion=complete_target,
    ),
]
ScenarioOption = Annotated[
    str,
    typer.Option(
        "--scenario", metavar="NAME", help="What goes wrong.", autocompletion=complete_scenario
    ),
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--parameter",
        metavar="KEY=VALUE",
        help="A parameter of the runbook; may be repeated.",
    ),
]
PlanOption = Annotated[
    bool, typer.Option("--plan", help="Show every change as a diff, touch nothing.")
]

_OPTIONS = {"target": "--target", "approve": "--approve", "plan": "--plan"}


def parse_overrides(words: list[str] | None) -> dict[str, str]:
    """`key=value` words as a dictionary. Raises UsageError on a malformed or repeated one."""
    overrides: dict[str, str] = {}
    for word in words or []:
        key, sign, value = word.partition("=")
        if not sign or not key.isidentifier():
            raise UsageError("not a parameter", repr(word), hint="write it as -p key=value")
        if key in _OPTIONS:
            raise UsageError(f"{key} is an option", repr(word), hint=f"use {_OPTIONS[key]}")
        if key in overrides:
            raise UsageError("the parameter is given twice", repr(key))
        overrides[key] = value
    return overrides
