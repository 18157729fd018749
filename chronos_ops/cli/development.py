"""Commands for who works on chronos itself."""

import os
from typing import Annotated, NoReturn

import typer

from chronos_ops.cli import shelf
from chronos_ops.cli.arguments import TargetOption


def _launcher(*words: str) -> NoReturn:
    path = str(shelf.ROOT / "chronos")
    os.execv(path, [path, *words])  # noqa: S606 - argv is ours, no shell is meant


def test(
    context: typer.Context,
    fast: Annotated[bool, typer.Option("--fast", help="Only what needs no lab.")] = False,
) -> None:
    """Run the whole suite: linters, types, import contracts, tests (lab included).

    What else is given goes to pytest; paths are relative to the repository.
    """
    _launcher("test", *(["--fast"] if fast else []), *context.args)


def lock(context: typer.Context) -> None:
    """Write requirements/*.lock anew from pyproject.toml (pass --upgrade for newer versions)."""
    _launcher("lock", *context.args)


def record(
    fact: Annotated[str, typer.Argument(metavar="FACT", help="Name of a fact.")],
    target: TargetOption,
    case: Annotated[
        str, typer.Option("--case", metavar="NAME", help="Name of the case; else the release's.")
    ] = "",
) -> None:
    """Ask a target one fact and keep the raw answer as a test's data (tests/recorded/)."""
    from chronos_ops.execution.record import record as keep

    typer.echo(keep(fact, target, case=case))
