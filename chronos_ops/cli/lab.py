"""`chronos lab`: a target on this machine."""

from typing import TYPE_CHECKING, Annotated

import typer

from chronos_ops.model.errors import UsageError

if TYPE_CHECKING:
    from chronos_ops.lab.control import LabStatus

app = typer.Typer(
    help="A target on this machine: a real database host, and an AWS of its own.",
    no_args_is_help=True,
)

NameOption = Annotated[
    str, typer.Option("--name", metavar="LAB", help="Name of the lab; several live side by side.")
]


@app.command()
def up(name: NameOption = "lab") -> None:
    """Boot the lab and write parameters/LAB.yaml (the first time it builds an image).

    Missing Debian packages are named and installed first; as a normal user, by sudo.
    """
    from chronos_ops.lab import control
    from chronos_ops.lab.leftovers import TEST_LABS

    if TEST_LABS.fullmatch(name):
        raise UsageError(
            "labs of that name are test runs' own: any other lab removes them",
            repr(name),
            hint="another name, as lab-2",
        )
    _print_status(control.up(name, progress=tell))


@app.command()
def down(name: NameOption = "lab") -> None:
    """Stop the lab and leave nothing of it behind; its image stays cached."""
    from chronos_ops.lab import control

    control.down(name, progress=tell)


@app.command()
def keep(name: NameOption = "lab") -> None:
    """Keep the lab as it is now, so that `put-back` makes it the same again; it boots anew."""
    from chronos_ops.lab import control

    control.keep(name, progress=tell)


@app.command("put-back")
def put_back(name: NameOption = "lab") -> None:
    """Make the lab what it was when it was kept; what happened since is gone."""
    from chronos_ops.lab import control

    control.put_back(name, progress=tell)


@app.command()
def status(name: NameOption = "lab") -> None:
    """Say what runs; exit 1 if nothing does, or not all of it."""
    from chronos_ops.lab import control

    found = control.status(name)
    if found is None:
        typer.echo(f"the lab {name!r} is not up")
        raise typer.Exit(1)
    _print_status(found)
    if not found.complete:
        typer.echo("it is not complete: ./chronos lab up")
        raise typer.Exit(1)


@app.command(context_settings={"ignore_unknown_options": True})
def ssh(
    host: Annotated[str, typer.Argument(metavar="HOST", help="Name of a host: see `lab status`.")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="A command instead of a shell.")
    ] = None,
    name: NameOption = "lab",
) -> None:
    """Open a shell on a host of the lab, or run a command there."""
    from chronos_ops.lab import control

    raise typer.Exit(control.ssh(name, host, *(command or [])))


@app.command()
def logs(
    name: NameOption = "lab",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
) -> None:
    """Print the lab's logs."""
    from chronos_ops.lab import control

    for line in control.logs(name, follow=follow):
        typer.echo(line)


def tell(line: str) -> None:
    """One line of progress, beside what the command prints."""
    typer.echo(line, err=True)


def _print_status(found: "LabStatus") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("what", "state", "address", title=f"lab {found.name}", title_justify="left")
    for host in found.hosts:
        names = ", ".join([host["name"], *host["aliases"]])
        table.add_row(f"host {names}", host["state"], host["address"])
    for name, service in sorted(found.services.items()):
        address = found.endpoint_url if name == "aws" else ""
        table.add_row(f"service {name}", "running" if service["running"] else "ended", address)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"parameters: {found.parameters}", soft_wrap=True)
