"""Restores of given sizes, one after the other: what the forecast is fitted on and held against.

Each size has a primary of its own, which lives: nothing is struck, the clock begins with the
decision to restore.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from chronos_ops.drill.archived import switch_segment, wait_stored
from chronos_ops.drill.objectives import PhaseClock
from chronos_ops.drill.passes import Anew, in_short, restored_by
from chronos_ops.drill.sample import DATABASE
from chronos_ops.drill.sql import script
from chronos_ops.drill.state import Drill
from chronos_ops.drill.synthetic import Synthetic, parameters
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome

_MOST_WAL = 1024  # MB
_ROUND = 4.6  # MB of WAL of one round
Step = Callable[[Context, Drill], Outcome]


class Sized(Synthetic):
    """A size of test data, backed up, and restored with a quarter of it in WAL."""

    id = "sized"
    title = "a size is restored"

    def archived(self, context: Context, drill: Drill) -> Outcome:
        """Until the WAL of the load is away: a backup waits a minute for it, and then fails."""
        ssh, stanza = drill.primary.ssh, drill.primary.settings.backup.stanza
        wait_stored(context, ssh, stanza, switch_segment(ssh), patience=3600)
        return Outcome(summary="the archiver has caught up with the load")

    def write_wal(self, context: Context, drill: Drill) -> Outcome:
        """WAL after the backup, until it is in the repository; then the clock starts."""
        wanted = min(parameters(context).sample_megabytes / 4, _MOST_WAL)
        ssh = drill.primary.ssh
        rounds = max(1, round(wanted / _ROUND))
        ssh.sql(f"\\set rounds {rounds}\n" + script("wal"), DATABASE, timeout=3600)
        self.archived(context, drill)
        drill.keep("clock", PhaseClock.now())
        return Outcome(summary="the clock starts with the decision to restore")

    def steps(self) -> tuple[Step, ...]:
        """From nothing to a verified copy."""
        return (
            self.provision_primary,
            self.set_up_backups,
            self.archived,
            self.baseline_backup,
            self.write_wal,
            self.provision_drill_host,
            self.restore_preflight,
            self.restore,
            self.recover,
            self.first_write,
            self.verify,
        )


@dataclass(frozen=True)
class Sizes:
    """What came of them."""

    restores: list[dict[str, Any]]
    finding: Finding | None  # none where no size was asked for


def restore_sizes(context: Context, anew: Anew) -> Sizes:
    """Each of `forecast_megabytes`, the smallest first; one that breaks is told, the rest go on."""
    restores: list[dict[str, Any]] = []
    bad: list[str] = []
    sizes = parameters(context).forecast_sizes
    for number, megabytes in enumerate(sizes, start=1):
        done: list[Outcome] = []
        said = _restore_size(context, anew, f"s{number}", megabytes, done)
        not_good = [f.id for outcome in done for f in outcome.findings if not f.good]
        found = restored_by(done, f"s{number}")
        if said or not_good or not found:
            said = said or ", ".join(not_good) or "not measured"
            bad.append(f"{megabytes} MB: {said}")
        else:
            restores += found
        context.journal.note("size restored", megabytes=megabytes, restored=found, failed=said)
    if not sizes:
        return Sizes([], None)
    finding = judge(
        "drill.forecast.restores",
        "every size was restored, and every check of it is good",
        passed=not bad,
        observed="; ".join(bad) or f"{len(restores)} of {len(sizes)}",
        expected=f"{len(sizes)} of {len(sizes)}",
        hint="logs/s<number> of this run; disk and memory of the bundle must hold the size",
        requirement="D6",
    )
    return Sizes(restores, finding)


def _restore_size(
    context: Context, anew: Anew, part: str, megabytes: int, done: list[Outcome]
) -> str:
    wanted = parameters(context).model_copy(update={"sample_megabytes": megabytes})
    own = replace(
        context,
        part=part,
        parameters=wanted,
        say=lambda line: context.say(f"{megabytes} MB: {line}"),
    )
    try:
        drill = anew(context)
        for step in Sized().steps():
            done.append(step(own, drill))
    except (ChronosError, OSError) as error:
        return in_short(error)
    return ""
