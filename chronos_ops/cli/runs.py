"""The commands that execute a runbook."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from chronos_ops.cli import shelf
from chronos_ops.cli.arguments import (
    ParameterOption,
    PlanOption,
    RunbookArgument,
    ScenarioOption,
    TargetOption,
    parse_overrides,
)
from chronos_ops.cli.lab import tell
from chronos_ops.model.errors import UsageError

if TYPE_CHECKING:
    from chronos_ops.model.result import Result

LAB = "lab"
BACKUP, DRILL = "pgbackrest_backup_restore", "disaster_recovery"


def run(
    runbook: RunbookArgument,
    target: TargetOption,
    parameter: ParameterOption = None,
    approve: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Consent to changes on the target: its name, typed once more."
        ),
    ] = "",
    plan: PlanOption = False,
    slot_of: Annotated[str, typer.Option(hidden=True, help="Given by a timer's unit.")] = "",
) -> None:
    """Execute a runbook headlessly; the run's folder is its evidence."""
    if slot_of:
        from chronos_ops.model.schedule import last_slot

        slot = last_slot(slot_of, datetime.now(UTC))
        result = execute_slot(runbook, target, parse_overrides(parameter), approve, slot)
    else:
        result = execute(runbook, target, parse_overrides(parameter), approve, plan=plan)
    raise typer.Exit(result.verdict.exit_status)


def drill(
    scenario: ScenarioOption = "instance_lost",
    target: TargetOption = LAB,
    parameter: ParameterOption = None,
    approve: Annotated[
        str,
        typer.Option(metavar="NAME", help="Consent, where the target is not the lab: its name."),
    ] = "",
) -> None:
    """Lose a database and bring it back, measured.

    On the lab (the default) everything is made from nothing: the lab is booted, the backup
    runbook sets its database host up (without its PITR proof; `chronos run
    pgbackrest_backup_restore` has it), then the drill runs. On another target only the drill runs.
    """
    shelf.check_scenario(scenario)
    overrides = {"scenario": scenario, **parse_overrides(parameter)}
    if target == LAB:
        from chronos_ops.lab import control
        from chronos_ops.runner_parameters import parameters_from_text

        # Refused now rather than after minutes of booting and backing up.
        parameters_from_text(DRILL, LAB, overrides, LAB, plan=False)

        control.up(LAB, progress=tell)
        # A lab's host is fresh: turning WAL archiving on restarts its PostgreSQL. The runbook's own
        # PITR proof is left out: the drill restores a database anyway, and so keeps to two minutes.
        given = {"allow_restart": "true", "pitr_test": "false"}
        backup = execute(BACKUP, LAB, given, LAB, plan=False)
        if backup.verdict.exit_status:
            raise typer.Exit(backup.verdict.exit_status)
        approve = LAB
    result = execute(DRILL, target, overrides, approve, plan=False)
    raise typer.Exit(result.verdict.exit_status)


def notebook(
    runbook: RunbookArgument,
    target: TargetOption,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser on it.")
    ] = True,
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of JupyterLab, on loopback only.")
    ] = 8888,
) -> None:
    """Step through a runbook in JupyterLab: a copy of it, with TARGET filled in."""
    from chronos_ops.cli import stepping
    from chronos_ops.model.settings import load_settings

    chosen = shelf.find_runbook(runbook)
    load_settings(target)  # refused before JupyterLab starts, not in its third cell
    copy = stepping.working_copy(chosen, target)
    typer.echo(f"a copy to step through: {copy}", err=True)
    stepping.open_jupyterlab(copy, browser=browser, port=port)


def reap(target: TargetOption) -> None:
    """Remove what runs on a target have left; exit 1 if something stays.

    Killed runs are torn down and sealed, failed teardowns tried again, and instances that a run
    made and forgot are destroyed: only those with a run's tag, older than drill.reap_after_hours.
    """
    from chronos_ops.model.settings import load_settings

    settings = load_settings(target)
    from chronos_ops import runner_reap

    stayed = runner_reap.reap(settings, shelf.ROOT / "outputs", tell)
    for name in stayed:
        typer.echo(f"still there: {name}")
    if stayed:
        raise typer.Exit(1)
    typer.echo("nothing is left")


def execute_slot(
    runbook: str, target: str, overrides: dict[str, str], approve: str, slot: datetime
) -> "Result":
    """A run that nobody watches, once for its slot; exit 0 where another process has it."""
    from chronos_ops import runner_slot
    from chronos_ops.cli.summary import print_result
    from chronos_ops.schedule.claims import Taken

    try:
        result = runner_slot.run_slot(runbook, target, overrides, approve, slot)
    except Taken as other:
        tell(str(other))
        raise typer.Exit(0) from None
    print_result(result, shelf.ROOT / "outputs" / target / result.run_id)
    return result


def execute(
    runbook: str, target: str, overrides: dict[str, str], approve: str, *, plan: bool
) -> "Result":
    """Run a runbook headlessly and print how it ended. Raises UsageError, Refused."""
    shelf.find_runbook(runbook)
    if approve and approve != target:
        raise UsageError(
            "--approve names another target", repr(approve), hint=f"--approve {target}"
        )
    from chronos_ops.model.settings import load_settings

    load_settings(target)  # refused before the runner's second of imports
    from chronos_ops import runner
    from chronos_ops.cli.summary import print_result

    result = runner.run(runbook, target, overrides, approve, plan)
    print_result(result, shelf.ROOT / "outputs" / target / result.run_id)
    return result
