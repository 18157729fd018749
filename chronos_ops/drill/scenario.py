"""What a scenario is: a name, and what it does in each step of the runbook.

A new scenario is one file in `scenarios/` with `SCENARIO = …`; a step that it does not override
has nothing to do, and says so.
"""

import pkgutil
from importlib import import_module
from typing import ClassVar, Literal

from chronos_ops.drill.restore_preflight import before_restore
from chronos_ops.drill.state import Drill
from chronos_ops.drill.steady import SteadyState, look
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import UsageError
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.settings import Settings

Mode = Literal["synthetic", "production_proof"]
Subject = Literal["nobody", "victim", "declared"]


class Scenario:
    """Every step of the runbook, with nothing to do. Steps run in the order of the methods."""

    id: ClassVar[str]
    title: ClassVar[str]
    mode: ClassVar[Mode]
    subject: ClassVar[Subject] = "victim"  # whom it strikes: a host of this run, unless said
    point_in_time: ClassVar[bool] = False  # commits after the target are given up

    def check_target(self, context: Context, drill: Drill, asked: RecoveryTarget) -> Outcome:
        """Refuse what cannot be reached, before anything is touched (D7)."""
        raise NotImplementedError

    def provision_primary(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("no primary of its own")

    def set_up_backups(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("the target's own backups are proven")

    def start_writer(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("nobody writes to the target for a drill")

    def baseline_backup(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("the newest backup in the repository is the baseline")

    def inject_fault(self, context: Context, drill: Drill) -> Outcome:
        raise NotImplementedError

    def detect(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("nothing was struck, so there is nothing to detect")

    def provision_drill_host(self, context: Context, drill: Drill) -> Outcome:
        raise NotImplementedError

    def restore_preflight(self, context: Context, drill: Drill) -> Outcome:
        """Could it be restored, from there to here? Before anything is copied."""
        if not drill.has("host"):
            return self.nothing("no host was made to restore to")
        return before_restore(context, drill)

    def restore(self, context: Context, drill: Drill) -> Outcome:
        raise NotImplementedError

    def recover(self, context: Context, drill: Drill) -> Outcome:
        raise NotImplementedError

    def first_write(self, context: Context, drill: Drill) -> Outcome:
        raise NotImplementedError

    def verify(self, context: Context, drill: Drill) -> Outcome:
        raise NotImplementedError

    def account(self, context: Context, drill: Drill) -> Outcome:
        raise NotImplementedError

    def bring_back(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("the restored database is whole, nothing is brought back")

    # -- a recovery for real alone (D9)

    def fence(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("a drill gives nobody up")

    def cut_over(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("the target's address stays where it is")

    def archiving_on(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("a restored copy of a drill archives nowhere")

    def full_backup(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("a drill writes into no repository of the target")

    def timers(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("a restored copy of a drill schedules nothing")

    def harden(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("a drill host lives for minutes, closed to all but the operators")

    def monitor(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("nobody waits for a drill host")

    def look_over(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("the target was not touched")

    def adopt(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("the parameter file names the target's own host")

    def steady(self, context: Context, drill: Drill) -> SteadyState | None:
        """The target's steady state; None: nobody serves there now."""
        return look(context)

    def nothing(self, why: str) -> Outcome:
        """The outcome of a step without work here."""
        return Outcome(summary=f"Nothing to do in scenario `{self.id}`: {why}.")


def registry() -> dict[str, Scenario]:
    """All scenarios by id: one per file of `scenarios/`."""
    package = import_module("chronos_ops.drill.scenarios")
    found: dict[str, Scenario] = {}
    for module in pkgutil.iter_modules(package.__path__):
        scenario: Scenario = import_module(f"{package.__name__}.{module.name}").SCENARIO
        if scenario.id != module.name:
            raise UsageError(f"scenarios/{module.name}.py names another scenario", scenario.id)
        found[scenario.id] = scenario
    return found


def refuse_subject(scenario: Scenario, settings: Settings) -> None:
    """Only a target that is declared disposable may be struck itself (D3). Raises UsageError."""
    if scenario.subject == "declared" and not settings.disposable:
        raise UsageError(
            f"scenario {scenario.id} strikes the declared host, which is not disposable",
            settings.host.instance,
            hint="`disposable: true` in the parameter file of a target that may be broken; the "
            "other scenarios strike a host of their own",
        )


def find(name: str) -> Scenario:
    """A scenario by name. Raises UsageError with what there is."""
    known = registry()
    if name not in known:
        raise UsageError("unknown scenario", repr(name), hint=f"known: {', '.join(sorted(known))}")
    return known[name]
