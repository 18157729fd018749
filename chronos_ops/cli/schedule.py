"""`chronos schedule`: runbooks that run by themselves, by systemd timers of this machine (R2)."""

import difflib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from chronos_ops.cli import shelf
from chronos_ops.cli.arguments import (
    ParameterOption,
    PlanOption,
    RunbookArgument,
    TargetOption,
    parse_overrides,
)
from chronos_ops.model.errors import UsageError

if TYPE_CHECKING:
    from chronos_ops.schedule.manager import Installed, Manager

app = typer.Typer(
    help="Runbooks that run by themselves, by systemd timers of this machine.",
    no_args_is_help=True,
)
SystemOption = Annotated[
    bool | None,
    typer.Option("--system/--user", help="Whose systemd. Of root: the system's, else the user's."),
]
_SHOWN_DAYS = 30


@app.command()
def add(
    runbook: RunbookArgument,
    target: TargetOption,
    calendar: Annotated[
        str, typer.Option(metavar="WHEN", help="systemd's, in UTC: 'Sun *-*-* 04:00:00 UTC'.")
    ],
    parameter: ParameterOption = None,
    approve: Annotated[
        str, typer.Option(metavar="NAME", help="Consent to every scheduled change: the target.")
    ] = "",
    delay: Annotated[
        int, typer.Option(min=0, max=3600, help="Random delay of a start, at most (seconds).")
    ] = 300,
    plan: PlanOption = False,
    system: SystemOption = None,
) -> None:
    """Run a runbook at the moments of a calendar, and catch up after downtime."""
    shelf.find_runbook(runbook)
    from chronos_ops.model.schedule import Schedule, check_calendar, next_slot
    from chronos_ops.model.timing import utc_now
    from chronos_ops.runner import prepare
    from chronos_ops.runner_slot import refuse_login
    from chronos_ops.schedule.units import unit_texts

    check_calendar(calendar, delay)
    given = parse_overrides(parameter)
    prepared = prepare(runbook, target, given, approve, plan=False)
    if getattr(prepared.parameters, "mode", "") == "recover":
        raise UsageError("a recovery for real is not scheduled: a person decides it (D9)", runbook)
    refuse_login(prepared.settings)
    schedule = Schedule(runbook, target, calendar, approve, tuple(sorted(given.items())), delay)
    manager = _manager(system)
    texts = unit_texts(schedule, shelf.ROOT, shelf.ROOT / "outputs", system=manager.system)
    changes = manager.changes(texts)
    for name, (before, after) in changes.items():
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), "", str(manager.folder / name), lineterm=""
        )
        typer.echo("\n".join(lines))
    missing = manager.missing()
    if plan:
        typer.echo(f"{len(changes)} units would change" + (f"; {missing}" if missing else ""))
        return
    if missing:
        raise UsageError("timers cannot run here", missing, hint="`--plan` shows the units")
    if changes or manager.active(schedule.name) != "active":
        manager.verify(texts, calendar)
        manager.install(texts)
    following = next_slot(calendar, utc_now())
    typer.echo(f"{schedule.name}: {len(changes)} units changed; next {following}")
    if not manager.system and not manager.lingers():
        typer.echo("it runs only while you are logged in: sudo loginctl enable-linger $USER")


@app.command("list")
def list_(system: SystemOption = None) -> None:
    """Every schedule with what became of its slots; exit 1 if one was missed or needs a human."""
    from rich.console import Console
    from rich.table import Table

    from chronos_ops.model.schedule import next_slot

    manager = _manager(system)
    found = manager.installed()
    now = datetime.now(UTC)
    table = Table("runbook", "target", "calendar", "timer", "next (UTC)", "slots")
    wrong = False
    for one in found:
        words, bad = _slots(one, now)
        timer = manager.active(one.schedule.name)
        wrong = wrong or bad or timer in ("inactive", "failed")
        following = next_slot(one.schedule.calendar, now)
        table.add_row(
            one.schedule.runbook,
            one.schedule.target,
            one.schedule.calendar,
            timer,
            f"{following:%Y-%m-%d %H:%M:%S}" if following else "never",
            words,
        )
    console = Console(highlight=False)
    if found:
        console.print(table)
    else:
        typer.echo("nothing is scheduled: ./chronos schedule add RUNBOOK --target NAME …")
    if missing := manager.missing():
        typer.echo(f"timers cannot run here: {missing}")
    if wrong:
        raise typer.Exit(1)


@app.command()
def remove(runbook: RunbookArgument, target: TargetOption, system: SystemOption = None) -> None:
    """End a schedule; a run that is under way goes on, and what ran stays in the archive."""
    manager = _manager(system)
    schedule = _installed(manager, runbook, target).schedule
    manager.remove(schedule.name)
    typer.echo(f"removed {schedule.name}")


@app.command("run-now")
def run_now(runbook: RunbookArgument, target: TargetOption, system: SystemOption = None) -> None:
    """Run what is scheduled now, here, with the same parameters, fence and checks."""
    from chronos_ops.cli.runs import execute_slot

    schedule = _installed(_manager(system), runbook, target).schedule
    now = datetime.now(UTC).replace(microsecond=0)
    result = execute_slot(runbook, target, dict(schedule.parameters), schedule.approve, now)
    raise typer.Exit(result.verdict.exit_status)


def _manager(system: bool | None) -> "Manager":
    import os

    from chronos_ops.schedule.manager import Manager

    return Manager.of(system=os.getuid() == 0 if system is None else system)


def _installed(manager: "Manager", runbook: str, target: str) -> "Installed":
    for one in manager.installed():
        if (one.schedule.runbook, one.schedule.target) == (runbook, target):
            return one
    raise UsageError(
        "not scheduled", f"{runbook} on {target}", hint="`./chronos schedule list` shows what is"
    )


def _slots(one: "Installed", now: datetime) -> tuple[str, bool]:
    """How many ended how, those that need a look one by one; the last failure's mark."""
    from chronos_ops.model.result import Verdict
    from chronos_ops.schedule.claims import Claims
    from chronos_ops.schedule.slots import DUE, MISSED, slots
    from chronos_ops.schedule.units import FAILED

    folder = shelf.ROOT / "outputs" / one.schedule.target
    since = max(one.since, now - timedelta(days=_SHOWN_DAYS))
    claims = Claims(folder)
    found = slots(one.schedule, claims, since, now)
    quiet = (Verdict.PASSED.value, DUE, "running")
    lines = [f"{len(found)} since {since:%Y-%m-%d}"]
    lines += [f"{s.at:%m-%d %H:%M} {s.state} {s.run_id}".strip() for s in found[-5:]]
    mark = folder / FAILED
    told = mark.read_text(encoding="utf-8").splitlines() if mark.is_file() else []
    lines += [f"failed: {line}" for line in told if f" {one.schedule.name} " in f"{line} "][-1:]
    stale = claims.stale()  # also of another runbook, and of `run-now`: each blocks the target
    mend = f"./chronos reap --target {one.schedule.target}"
    lines += [f"{c.slot} {c.runbook}: unknown, needs a human: {mend}" for c in stale]
    missed = sum(slot.state == MISSED for slot in found)
    lines += [f"{missed} missed"] if missed else []
    return "\n".join(lines), bool(stale) or any(slot.state not in quiet for slot in found)
