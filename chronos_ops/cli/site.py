"""`chronos site`: the archive as a page for people."""

from pathlib import Path
from typing import Annotated

import typer

from chronos_ops.cli import shelf

app = typer.Typer(
    help="A static page of the archive: runs, trends, missed slots, findings.",
    no_args_is_help=True,
)
_OUT = Path("site")
OutOption = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="The site's folder; replaced as a whole.")
]


@app.command()
def build(
    out: OutOption = _OUT,
    outputs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the targets' runs.")
    ] = None,
    fingerprint: Annotated[
        str, typer.Option(help="The key's fingerprint, where no target says it.")
    ] = "",
) -> None:
    """Make the page, with copies of the executed notebooks. Asks no host and no AWS."""
    from chronos_ops.model.timing import utc_now
    from chronos_ops.schedule.manager import schedules_of
    from chronos_ops.site.build import build as make
    from chronos_ops.site.collect import collect

    now = utc_now()
    folder = outputs or shelf.ROOT / "outputs"
    targets = collect(folder, lambda name: fingerprint or _known(name), schedules_of, now)
    page = make(targets, out, now)
    runs = sum(len(target.rows) for target in targets)
    typer.echo(f"{page}: {runs} runs of {len(targets)} targets")
    for target in targets:
        if target.archive:
            typer.secho(f"{target.name}: the archive does not verify", fg=typer.colors.RED)
    if any(target.archive for target in targets):
        raise typer.Exit(1)


@app.command()
def serve(
    out: OutOption = _OUT,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8765,
) -> None:
    """Show the folder on this machine alone (127.0.0.1), until ctrl-C."""
    from chronos_ops.model.errors import UsageError
    from chronos_ops.site.build import MARK
    from chronos_ops.site.serve import server as make

    if not (out / MARK).is_file():
        raise UsageError("no site there", out, hint="./chronos site build")
    try:
        server = make(out, port)
    except OSError as error:
        raise UsageError("the port cannot be used", f"{port}: {error}", hint="--port") from None
    with server:
        typer.echo(f"http://127.0.0.1:{server.server_address[1]}/ (ctrl-C ends it)")
        server.serve_forever()


def _known(target: str) -> str | None:
    """As the target declares it; else of this operator's own key. The bucket is not asked."""
    from chronos_ops.evidence.trust import known_fingerprint
    from chronos_ops.model.errors import UsageError
    from chronos_ops.model.settings import load_settings

    try:
        declared = load_settings(target).archive
    except UsageError:  # a target that is no more
        declared = None
    return known_fingerprint(declared.key_fingerprint if declared else None, None)
