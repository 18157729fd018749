"""Mode `recover`: the database is lost for real, and comes back (D9)."""

from dataclasses import replace
from typing import ClassVar

from chronos_ops.drill import recovering
from chronos_ops.drill.objectives import PhaseClock
from chronos_ops.drill.recover import place
from chronos_ops.drill.recover.aftermath import Aftermath
from chronos_ops.drill.recover.alive import signs_of_life, split_brain
from chronos_ops.drill.recover.cut_over import (
    authorize,
    cut_over,
    judge_served,
    let_go,
    refuse_damage,
)
from chronos_ops.drill.recover.fence import fence, judge_stopped
from chronos_ops.drill.scenarios.production_proof import ProductionProof
from chronos_ops.drill.state import Drill
from chronos_ops.drill.synthetic import parameters
from chronos_ops.execution import power
from chronos_ops.execution.context import Context
from chronos_ops.execution.operator_key import public_line
from chronos_ops.facts import lightsail, s3
from chronos_ops.facts.lightsail import StaticIp
from chronos_ops.facts.postgres import CLUSTERS, IDENTITY
from chronos_ops.facts.secret_store import secrets
from chronos_ops.model.errors import Refused, UnfitTarget, UsageError
from chronos_ops.model.finding import Finding
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.wal import WalSegment
from chronos_ops.plans.cluster import declared_cluster, missing_cluster

CLUSTER = "main"


def find(context: Context) -> "Recover":
    """A recovery from its beginning, or the rest of one that was cut short after the cut-over."""
    _refuse_typo(context)
    static = place.static_address(context)
    new = place.successor(context, static)
    if new:
        return Resumed(static, new)
    lost = context.ask(lightsail.instance(context.settings.host.instance))
    return Recover(static, lost.bundle if lost else "")


def _refuse_typo(context: Context) -> None:
    declared, given = context.settings.host.instance, parameters(context).lost_instance
    if given != declared:
        raise UsageError(
            "lost_instance is not the instance that this target declares",
            f"{given!r}, declared is {declared!r}",
            hint="name the instance that is given up; after a recovery host.instance in the "
            "parameter file is the new one",
        )


class Recover(Aftermath, ProductionProof):
    """The target's own repository, restored on a new host that takes the lost one's place."""

    id: ClassVar[str] = "recover"
    title: ClassVar[str] = "the database is lost, and comes back on a new host"

    def __init__(self, static: StaticIp, bundle: str = "") -> None:
        self.static = static
        self.bundle = bundle  # the lost instance's own, where Lightsail still knows it

    def check_target(self, context: Context, drill: Drill, asked: RecoveryTarget) -> Outcome:
        """Everything that would stop a recovery halfway is refused before anything is touched."""
        settings, own = context.settings, parameters(context)
        if asked.own:
            raise UsageError("mode recover has no moment of its own", asked)
        if settings.postgres.cluster != CLUSTER:
            raise UsageError(f"a recovery makes the cluster {CLUSTER!r}", settings.postgres.cluster)
        drill.keep("operator-key", public_line(settings.host.key_file))
        self._refuse_missing(context)
        alive = signs_of_life(context, own.probe_failures)
        if alive and not own.although_alive and not own.plan:
            raise Refused(
                "the declared database lives: nothing is given up", alive, hint=split_brain()
            )
        drill.asked = drill.target = asked
        drill.keep("position", None)
        drill.keep("tables", None)
        seen = f"silent in {own.probe_failures} looks"
        if alive:
            seen = f"**although {alive}**" if own.although_alive else f"refused while {alive}"
        return Outcome(
            summary=f"**Recovery for real**, to {asked}. `{settings.host.instance}` is given up "
            f"({seen}); `{self.static.name}` ({self.static.address}) will lead to a new host."
        )

    def _refuse_missing(self, context: Context) -> None:
        backup, postgres = context.settings.backup, context.settings.postgres
        if context.ask(s3.location(backup.bucket)) is None:
            raise UsageError("the target's backup bucket does not exist", backup.bucket)
        names = (backup.cipher_secret, postgres.operator_password_secret)
        missing = [n for n, kind in context.ask(secrets(*names)).items() if kind is None]
        if missing:
            raise UsageError(
                "the secret store lacks what a recovery needs",
                ", ".join(missing),
                hint="the passphrase: put the offline copy back (aws ssm put-parameter --type "
                "SecureString); without it no backup can be read",
            )

    def inject_fault(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("the fault is real")

    def detect(self, context: Context, drill: Drill) -> Outcome:
        """The clock of a recovery for real starts with the decision: when it failed, nobody saw."""
        drill.keep("clock", PhaseClock.now())
        return self.nothing("it was looked at above. The clock starts now")

    def fence(self, context: Context, drill: Drill) -> Outcome:
        outcome = fence(context, self.static)
        drill.keep("fenced", drill.clock.fault_at)
        return outcome.model_copy(update={"phases": [drill.clock.close("fence")]})

    def provision_drill_host(self, context: Context, drill: Drill) -> Outcome:
        drill.part("fenced", "fence")
        outcome = recovering.make_host(self._as_large(context), drill, context.settings)
        line = drill.part("operator-key", "check-target")
        authorize(drill.host.ssh, str(line))
        return outcome

    def _as_large(self, context: Context) -> Context:
        """Drills may make do with less; who takes production's place is as large as it was."""
        if not self.bundle:
            return context
        size = context.settings.drill.model_copy(update={"bundle_id": self.bundle})
        return replace(context, settings=context.settings.model_copy(update={"drill": size}))

    def restore(self, context: Context, drill: Drill) -> Outcome:
        _refuse_fork(drill)
        return super().restore(context, drill)

    def recover(self, context: Context, drill: Drill) -> Outcome:
        return self._checked(drill, super().recover(context, drill))

    def verify(self, context: Context, drill: Drill) -> Outcome:
        return self._checked(drill, super().verify(context, drill))

    def _checked(self, drill: Drill, outcome: Outcome) -> Outcome:
        before = drill.part("checked") if drill.has("checked") else []
        assert isinstance(before, list)
        drill.keep("checked", [*before, *outcome.findings])
        return outcome

    def account(self, context: Context, drill: Drill) -> Outcome:
        """What was lost can only be estimated: nobody kept a record of what was promised."""
        fenced, last = drill.clock.fault_at, drill.recovery.last_commit_at
        said = f"the last recovered commit is of {last or 'before the backup'}"
        return Outcome(
            summary=f"Lost: **not known**. No record of the acknowledged commits exists; {said}, "
            f"the fence began at {fenced:%Y-%m-%d %H:%M:%S} UTC. What was committed in between, "
            "before the database failed, is lost. Tell its users that moment."
            + (
                ""
                if drill.target.kind == "latest"
                else f" You gave up what came after {drill.target}."
            ),
            measures={
                "last_recovered_commit": last,
                "fence_began": fenced.isoformat(),
                "not_measured": {"recovery_point_seconds": "no record of acknowledged commits"},
            },
        )

    def cut_over(self, context: Context, drill: Drill) -> Outcome:
        checked = drill.part("checked", "verify")
        assert isinstance(checked, list)
        refuse_damage(checked, accepted=parameters(context).although_findings)
        new, system_id = drill.host.provisioned.name, drill.host.repository_system_id
        findings = cut_over(context, self.static, new, system_id)
        return self._cut(drill, new, drill.host.major, findings)

    def _cut(self, drill: Drill, new: str, major: str, findings: list[Finding]) -> Outcome:
        drill.keep("new", (new, major))
        clock = drill.clock
        return Outcome(
            summary=f"`{self.static.address}` leads to `{new}`, {clock.elapsed:.0f} s after the "
            "decision. From here on **it is production**: no teardown removes it.",
            findings=findings,
            phases=[clock.close("cut_over")],
        )


def _refuse_fork(drill: Drill) -> None:
    """Recovery follows the archive's latest timeline, whoever wrote it there (failures 12)."""
    reach, asked = drill.host.reach, drill.target
    if not reach.backups or asked.timeline not in ("", "latest"):
        return
    newest = max(reach.backups, key=lambda item: item.stopped)
    own = WalSegment.parse(newest.wal_stop).timeline
    if reach.timeline > own:
        raise UsageError(
            f"the archive holds timeline {reach.timeline}, the newest backup is of {own}",
            hint="a promoted copy has archived into this repository, or a recovery was cut short "
            f"before its first backup: name the timeline (`latest timeline:{own}`)",
        )


class Resumed(Recover):
    """A recovery that was cut short after its cut-over: what is left of it is done."""

    def __init__(self, static: StaticIp, new: str) -> None:
        super().__init__(static)
        self.new = new

    def check_target(self, context: Context, drill: Drill, asked: RecoveryTarget) -> Outcome:
        return Outcome(
            summary=f"`{self.new}` serves at {self.static.address} already: an earlier run was cut "
            "short after its cut-over. The rest of it is done now, nothing is restored again."
        )

    def fence(self, context: Context, drill: Drill) -> Outcome:
        """Its keys stay revoked; the instance may have been started since."""
        lost = context.settings.host.instance
        power.stop_instance(context.aws, lost)
        return Outcome(
            summary=f"`{lost}` was fenced by the earlier run.",
            findings=[judge_stopped(context, lost)],
        )

    def provision_drill_host(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing(f"`{self.new}` is the new host")

    def restore(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("it was restored by the earlier run")

    recover = first_write = verify = account = restore

    def cut_over(self, context: Context, drill: Drill) -> Outcome:
        serving = place.serving(context, self.new)
        clusters = serving.ask(CLUSTERS)
        cluster = declared_cluster(serving.settings, clusters)
        if cluster is None:
            raise UnfitTarget(missing_cluster(serving.settings, clusters))
        found = judge_served(serving, serving.ask(IDENTITY).system_identifier)
        let_go(context, self.static, self.new)
        return self._cut(drill, self.new, cluster.version, [found])

    def archiving_on(self, context: Context, drill: Drill) -> Outcome:
        """How long the whole recovery took, only the records of both runs together tell."""
        outcome = super().archiving_on(context, drill)
        why = "this run did the rest of one that was cut short"
        excused = {f"recovery_{figure}_seconds": why for figure in ("time", "point")}
        measures = {**outcome.measures, "not_measured": excused}
        return outcome.model_copy(update={"achieved": None, "measures": measures})
