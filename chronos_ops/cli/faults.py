"""`chronos faults`: what must be detected, and how much of it is."""

from typing import Annotated

import typer

from chronos_ops.cli import runs, shelf
from chronos_ops.cli.arguments import TargetOption
from chronos_ops.cli.lab import tell

RUNBOOK = "fault_catalogue"
app = typer.Typer(
    help="The catalogue of faults: each one made in a lab, each one to be named.",
    no_args_is_help=True,
)


@app.command("list")
def list_() -> None:
    """Show every fault, and which finding of which runbook must name it."""
    from rich.console import Console
    from rich.table import Table

    from chronos_ops.faults.fault import registry

    known = registry().values()
    for runbook in dict.fromkeys(fault.runbook for fault in known):
        table = Table(
            box=None, pad_edge=False, title=f"detected by {runbook}", title_justify="left"
        )
        table.add_column("fault, and what names it", no_wrap=True)
        table.add_column("failure", justify="right")
        table.add_column("what it is")
        for fault in (each for each in known if each.runbook == runbook):
            table.add_row(f"{fault.id}\n  {fault.finding}", str(fault.number), fault.what)
        Console().print(table, "")
    typer.echo(f"{len(known)} faults")


@app.command()
def run(
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="FAULT", help="One fault; may be repeated. None: all."),
    ] = None,
    controls: Annotated[
        int, typer.Option(min=1, help="Runs without a fault before the faults.")
    ] = 1,
    jobs: Annotated[int, typer.Option(min=1, max=8, help="Labs at a time.")] = 2,
    target: TargetOption = runs.LAB,
) -> None:
    """Make each fault in a lab of its own; exit 0 only if every one is named.

    The evidence is kept on the target's shelf: the lab `lab` by default, which is booted for it.
    """
    from chronos_ops.faults.fault import choose
    from chronos_ops.faults.readme import write_line
    from chronos_ops.lab import control

    choose(only or [])  # refused before anything is booted
    if target == runs.LAB:
        control.up(target, progress=tell)
    given = {"only": ",".join(only or []), "controls": str(controls), "jobs": str(jobs)}
    result = runs.execute(RUNBOOK, target, given, "", plan=False)
    if not only and result.measures.get("score") and write_line(shelf.ROOT):
        tell("README.md has the score")
    raise typer.Exit(result.verdict.exit_status)


@app.command()
def readme() -> None:
    """Write the newest full run's score into README.md, between its markers."""
    from chronos_ops.faults.readme import write_line

    typer.echo("README.md was changed" if write_line(shelf.ROOT) else "README.md says so already")
