"""The commands that only look: what there is, and what a run found."""

from typing import TYPE_CHECKING, Annotated

import typer

from chronos_ops.cli import shelf
from chronos_ops.cli.arguments import complete_run
from chronos_ops.model.errors import UnreadableAnswer, UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from chronos_ops.model.result import Result

_SHOWN = 20


def list_(
    every: Annotated[
        bool, typer.Option("--all", help=f"All runs, not only the last {_SHOWN}.")
    ] = False,
) -> None:
    """List runbooks, targets and runs (the newest first)."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print("Runbooks", style="bold")
    for runbook in shelf.runbooks():
        console.print(f"  [cyan]{runbook.name}[/]  ", end="")
        console.print(runbook.promise, markup=False, soft_wrap=True)
    console.print("Targets", style="bold")
    for name in shelf.targets():
        console.print(f"  [cyan]{name}[/]  ", end="")
        console.print(_target_line(name), markup=False, soft_wrap=True)
    if not shelf.targets():
        console.print("  none yet; ./chronos lab up makes one", style="dim")
    runs = shelf.runs()
    console.print("Runs", style="bold")
    if not runs:
        console.print("  none yet", style="dim")
    for run in runs if every else runs[:_SHOWN]:
        console.print(_run_line(run))
    if len(runs) > _SHOWN and not every:
        console.print(f"  and {len(runs) - _SHOWN} older ones: --all", style="dim")


def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Id of a run, its beginning if that is unambiguous, or `latest`.",
            autocompletion=complete_run,
        ),
    ],
    raw: Annotated[bool, typer.Option("--json", help="Print result.json as it is.")] = False,
) -> None:
    """Show what a run measured and judged."""
    from chronos_ops.cli.summary import print_result

    folder = shelf.find_run(run)
    result = _read(folder)
    if raw:
        typer.echo(folder.result_file.read_text(encoding="utf-8"), nl=False)
    else:
        print_result(result, folder.path)


def _read(folder: shelf.RunFolder) -> "Result":
    from pydantic import ValidationError

    from chronos_ops.model.result import Result

    try:
        return Result.model_validate_json(folder.result_file.read_bytes())
    except FileNotFoundError:
        raise UnreadableAnswer(
            f"run {folder.run_id} left no result: it was killed, or it is still running",
            hint=f"its journal says how far it came: {folder.path / 'journal.jsonl'}",
        ) from None
    except ValidationError as error:
        raise UnreadableAnswer(f"{folder.result_file} is not a result", error) from None


def _target_line(name: str) -> str:
    from chronos_ops.model.settings import load_settings

    try:
        settings = load_settings(name)
    except UsageError as error:
        return f"not usable: {error.text()}"
    where = (
        f"{settings.host.instance} at {settings.host.address}, account {settings.aws.account_id}"
    )
    return where + (", disposable" if settings.disposable else "")


def _run_line(folder: shelf.RunFolder) -> "Text":
    from rich.text import Text

    from chronos_ops.cli.summary import duration, verdict_text

    try:
        result = _read(folder)
    except UnreadableAnswer:
        return Text.assemble(f"  {folder.run_id}  {folder.target}  ", ("no result", "red"))
    line = Text.assemble(f"  {folder.run_id}  {folder.target}  {result.runbook}  ")
    line.append_text(verdict_text(result.verdict))
    if result.achieved.recovery_time_seconds is not None:
        line.append(f"  recovered in {duration(result.achieved.recovery_time_seconds)}")
    return line
