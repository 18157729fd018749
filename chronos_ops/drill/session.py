"""What the runbook's cells call: one method a step, each handed to the scenario (D8)."""

from chronos_ops.drill import forecasting, passes, pitr, scenario, steady
from chronos_ops.drill.recover import scenario as recover
from chronos_ops.drill.scenario import Scenario
from chronos_ops.drill.snapshot import check_snapshot
from chronos_ops.drill.state import Drill
from chronos_ops.drill.steady import SteadyState
from chronos_ops.drill.synthetic import parameters
from chronos_ops.drill.zones import other_readings
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import UsageError
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import REACHABLE, parse_target
from chronos_ops.model.timing import utc_now


class DrillSession:
    """`run.drill`. What a teardown needs is in the journal; the rest lives with the kernel."""

    def __init__(self) -> None:
        self.drill = Drill()
        self._before: SteadyState | None = None
        self._scenario: Scenario | None = None

    def _of(self, context: Context) -> Scenario:
        if self._scenario is None:
            wanted = parameters(context)
            self._scenario = (
                recover.find(context)
                if wanted.mode == "recover"
                else scenario.find(wanted.scenario)
            )
        return self._scenario

    # -- steps, in the order of the runbook

    def check_target(self, context: Context) -> Outcome:
        """Refuse an unknown scenario, snapshot or target before anything is touched."""
        found = self._of(context)
        scenario.refuse_subject(found, context.settings)
        source = check_snapshot(context) or "the bare image"
        words = parameters(context).recovery_target
        try:
            asked = parse_target(words, utc_now())
            outcome = found.check_target(context, self.drill, asked)
        except UsageError as error:
            if error.breaks is REACHABLE and context.parameters.reaches_target:
                error.add(*other_readings(context.ssh, words))
            raise
        return outcome.model_copy(
            update={"summary": f"{outcome.summary} Hosts are made from {source}."}
        )

    def steady_state_before(self, context: Context) -> Outcome:
        """Look at the target's steady state, and for forgotten drill hosts."""
        outcome, self._before = self._steady(context, "before")
        findings = [*outcome.findings, steady.judge_leftovers(context, own=False)]
        return outcome.model_copy(update={"findings": findings})

    def provision_primary(self, context: Context) -> Outcome:
        """Make the host that will be lost, with PostgreSQL on it."""
        return self._of(context).provision_primary(context, self.drill)

    def set_up_backups(self, context: Context) -> Outcome:
        """Set up its backups by the backup runbook's own plans, and load the sample data."""
        return self._of(context).set_up_backups(context, self.drill)

    def start_writer(self, context: Context) -> Outcome:
        """Start the outside writer and the outside probe."""
        return self._of(context).start_writer(context, self.drill)

    def baseline_backup(self, context: Context) -> Outcome:
        """Make the baseline backup."""
        return self._of(context).baseline_backup(context, self.drill)

    def inject_fault(self, context: Context) -> Outcome:
        """Strike."""
        return self._of(context).inject_fault(context, self.drill)

    def detect(self, context: Context) -> Outcome:
        """Wait until the outside probe says that the database is down."""
        return self._of(context).detect(context, self.drill)

    def provision_drill_host(self, context: Context) -> Outcome:
        """Make a new host, closed to all but the operators, that can read the repository."""
        return self._of(context).provision_drill_host(context, self.drill)

    def restore_preflight(self, context: Context) -> Outcome:
        """Judge repository and host, before anything is copied."""
        return self._of(context).restore_preflight(context, self.drill)

    def restore(self, context: Context) -> Outcome:
        """Copy the backup's files back; never over a live cluster."""
        return self._of(context).restore(context, self.drill)

    def recover(self, context: Context) -> Outcome:
        """Replay WAL up to the recovery target, and promote."""
        return self._of(context).recover(context, self.drill)

    def first_write(self, context: Context) -> Outcome:
        """Commit a first write from outside."""
        return self._of(context).first_write(context, self.drill)

    def verify(self, context: Context) -> Outcome:
        """Prove the integrity of what came back."""
        return self._of(context).verify(context, self.drill)

    def account(self, context: Context) -> Outcome:
        """Hold the acknowledged commits against the recovered ones, and the objectives."""
        return self._of(context).account(context, self.drill)

    def bring_back(self, context: Context) -> Outcome:
        """Bring the dropped rows back and compare them."""
        return self._of(context).bring_back(context, self.drill)

    def repeats(self, context: Context) -> Outcome:
        """Run the whole sequence again, as often as `repeat` says; the worst pass counts."""
        if parameters(context).mode == "recover":
            return self._of(context).nothing("a recovery for real happens once")
        return passes.repeats(context, self._of(context), self._anew)

    def forecast(self, context: Context) -> Outcome:
        """Foretell the recovery time of other sizes, held against sizes that were restored."""
        if parameters(context).mode == "recover":
            return self._of(context).nothing("a drill foretells, a recovery measures")
        return forecasting.tell(context, self._anew)

    def _anew(self, context: Context) -> Drill:
        """What the run has made goes before it makes more: memory and disk stay flat."""
        self.stop(context)
        passes.remove_all(context)
        self.drill = Drill()
        return self.drill

    # -- mode recover alone (D9)

    def fence(self, context: Context) -> Outcome:
        """Give the lost host up: keys revoked, firewall closed, stopped; proven."""
        return self._of(context).fence(context, self.drill)

    def cut_over(self, context: Context) -> Outcome:
        """Lead the target's address to the new host."""
        return self._of(context).cut_over(context, self.drill)

    def archiving_on(self, context: Context) -> Outcome:
        """Give the declared configuration back, and archive to every repository."""
        return self._of(context).archiving_on(context, self.drill)

    def full_backup(self, context: Context) -> Outcome:
        """Take a full backup to every repository at once."""
        return self._of(context).full_backup(context, self.drill)

    def timers(self, context: Context) -> Outcome:
        """Schedule the backups."""
        return self._of(context).timers(context, self.drill)

    def harden(self, context: Context) -> Outcome:
        """Apply the hardening runbook's stages to the new host."""
        return self._of(context).harden(context, self.drill)

    def monitor(self, context: Context) -> Outcome:
        """Apply the monitoring runbook's stages to the new host."""
        return self._of(context).monitor(context, self.drill)

    def look_over(self, context: Context) -> Outcome:
        """The backup runbook's looks at the new host."""
        return self._of(context).look_over(context, self.drill)

    def adopt(self, context: Context) -> Outcome:
        """Name the new host in the parameter file."""
        return self._of(context).adopt(context, self.drill)

    def steady_state_after(self, context: Context) -> Outcome:
        """The target is as it was before."""
        return self._steady(context, "after")[0]

    def stop(self, context: Context) -> Outcome:
        """End the outside writer and probe; wait for a deletion that is under way."""
        drill = self.drill
        if drill.has("probe"):
            drill.probe.stop()
        if drill.has("writer"):
            drill.keep("record", drill.writer.stop())
        if drill.has("deletion"):
            drill.deletion.join(timeout=300)
        running = [name for name in ("writer", "probe") if drill.has(name)]
        return Outcome(summary=f"Ended: {', '.join(running) or 'nothing ran'}.")

    def steady_state_teardown(self, context: Context) -> Outcome:
        """The target is as it was before, and nothing of this run is left."""
        outcome, _ = self._steady(context, "after-teardown")
        findings = [*outcome.findings, steady.judge_leftovers(context, own=True)]
        return outcome.model_copy(update={"findings": findings})

    def _steady(self, context: Context, when: str) -> tuple[Outcome, SteadyState | None]:
        seen = self._of(context).steady(context, self.drill)
        if seen is None:
            return Outcome(summary="The lost host is not looked at, the new one not yet."), None
        outcome = Outcome(
            summary=f"{seen.cluster}, timeline {seen.timeline}.",
            findings=[steady.judge_steady(seen, self._before, when)],
        )
        return outcome, seen

    # -- the backup runbook's

    def prove_pitr(self, context: Context) -> Outcome:
        """Prove PITR of the target's own backups from both sides, on a scratch host (B5)."""
        return pitr.prove_pitr(context)
