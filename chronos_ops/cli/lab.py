"""`chronos lab`: a target on this machine."""

from typing import Annotated

import typer

from chronos_ops.model.errors import UsageError

app = typer.Typer(
    help="A target on this machine: a real database host, and an AWS of its own.",
    no_args_is_help=True,
)

NameOption = Annotated[
    str, typer.Option("--name", metavar="LAB", help="Name of the lab; several live side by side.")
]


@app.command()
def up(name: NameOption = "lab") -> None:
    """Boot the lab and write parameters/LAB.yaml (the first time it builds an image)."""
    from chronos_ops.lab import control

    typer.echo(control.up(name, progress=lambda line: typer.echo(line, err=True)))


@app.command()
def down(name: NameOption = "lab") -> None:
    """Stop the lab and leave nothing of it behind; its image stays cached."""
    from chronos_ops.lab import control

    control.down(name)


@app.command()
def status(name: NameOption = "lab") -> None:
    """Say what runs; exit 1 if nothing does."""
    from chronos_ops.lab import control

    found = control.status(name)
    if found is None:
        typer.echo(f"lab {name!r} is not up")
        raise typer.Exit(1)
    typer.echo(found)


@app.command()
def ssh(
    host: Annotated[str, typer.Argument(metavar="HOST", help="Name of a host: see `lab status`.")],
    name: NameOption = "lab",
) -> None:
    """Open a shell on a host of the lab."""
    from chronos_ops.lab import control

    if control.status(name) is None:
        raise UsageError(f"lab {name!r} is not up", hint="./chronos lab up")
    control.ssh(name, host)


@app.command()
def logs(
    name: NameOption = "lab",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
) -> None:
    """Print the lab's log."""
    from chronos_ops.lab import control

    control.logs(name, follow)
