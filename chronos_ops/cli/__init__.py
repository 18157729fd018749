"""The command line. Heavy imports live inside the commands: `--help` answers at once."""

import sys
import traceback

import typer

from chronos_ops.cli import (
    archive,
    development,
    faults,
    lab,
    linting,
    policy,
    publish,
    runs,
    schedule,
    shelf_commands,
    site,
)
from chronos_ops.model.errors import ChronosError

ABORTED = 3  # exit status of what was interrupted, and of what is not known

app = typer.Typer(
    name="chronos",
    help=(
        "Runbooks that keep one PostgreSQL server recoverable, and prove it.\n\n"
        "New here? [bold]./chronos drill[/] boots a lab on this machine, backs a database up, "
        "loses it, brings it back, and says how long that took and what was lost."
    ),
    epilog=(
        "Exit status: 0 passed; 1 failed, or an objective was missed; "
        "2 wrong usage or parameters, nothing was touched; 3 aborted or not known."
    ),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_RUN, _SHELF, _WORKSHOP = "Run", "Look", "Lab and development"
app.command(rich_help_panel=_RUN)(runs.drill)
app.command(rich_help_panel=_RUN)(runs.run)
app.command(rich_help_panel=_RUN)(runs.notebook)
app.command(rich_help_panel=_RUN)(runs.reap)
app.add_typer(schedule.app, name="schedule", rich_help_panel=_RUN)
app.add_typer(faults.app, name="faults", rich_help_panel=_RUN)
app.command("list", rich_help_panel=_SHELF)(shelf_commands.list_)
app.command(rich_help_panel=_SHELF)(shelf_commands.show)
app.command(rich_help_panel=_SHELF)(linting.lint)
app.command(rich_help_panel=_SHELF)(policy.policy)
app.command(rich_help_panel=_SHELF)(archive.verify)
app.add_typer(archive.app, name="archive", rich_help_panel=_SHELF)
app.add_typer(site.app, name="site", rich_help_panel=_SHELF)
app.add_typer(publish.docs, name="docs", rich_help_panel=_SHELF)
app.add_typer(publish.app, name="publish", rich_help_panel=_SHELF)
app.add_typer(lab.app, name="lab", rich_help_panel=_WORKSHOP)
app.command(
    rich_help_panel=_WORKSHOP,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(development.test)
app.command(rich_help_panel=_WORKSHOP)(development.record)
app.command(
    rich_help_panel=_WORKSHOP,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(development.lock)


def main() -> None:
    """Run the command line; the exit status is as the epilog says."""
    try:
        app(prog_name="chronos")
    except SystemExit as end:
        sys.exit(ABORTED if end.code == 130 else end.code)  # 130: typer's word for ctrl-C
    except ChronosError as error:
        typer.secho(error.text(), fg=typer.colors.RED, err=True)
        sys.exit(error.exit_status)
    except Exception as error:  # noqa: BLE001 - the last door: whatever it was, it is not a pass
        typer.secho(f"not expected: {error!r}", fg=typer.colors.RED, err=True)
        traceback.print_exc()
        sys.exit(ABORTED)
