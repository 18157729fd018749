"""A frozen set of repo2 is thawed and restored on a scratch host (B2). The target is only read."""

import time
from dataclasses import replace
from typing import cast

from chronos_ops.drill import marker, recovering, thaw
from chronos_ops.drill.objectives import PhaseClock
from chronos_ops.drill.scenario import Scenario
from chronos_ops.drill.state import Drill
from chronos_ops.drill.synthetic import parameters
from chronos_ops.drill.target import Reach
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups, s3
from chronos_ops.facts.backups import OK, StanzaInfo
from chronos_ops.facts.postgres import IDENTITY
from chronos_ops.model.errors import Rule, UnfitTarget, UsageError
from chronos_ops.model.finding import Finding
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.settings import Settings
from chronos_ops.model.timing import Phase, stamp, utc_now
from chronos_ops.plans import thaw as plan
from chronos_ops.plans.thaw import REPO, Needed

_OF_THE_LIVE = "the objective is the live repository's; a long-term set has its own stated time"


class LongTermSet(Scenario):
    id = "long_term_set"
    title = "a long-term set is thawed and restored on a scratch host"
    mode = "production_proof"
    subject = "nobody"

    def check_target(self, context: Context, drill: Drill, asked: RecoveryTarget) -> Outcome:
        """Which objects it takes, how long, and what that costs: before anything is ordered."""
        if asked != RecoveryTarget():
            raise UsageError(
                f"scenario {self.id} recovers to the end of a set: of older ones there is no later "
                "WAL",
                f"asked for {asked}",
                hint="leave recovery_target empty; long_term_label names the set",
            )
        settings, own = context.settings, parameters(context)
        if settings.backup.long_term is None:
            raise UsageError("this target has no long-term repository", "backup.long_term is null")
        info, objects = _repository(context)
        until = time.time() + own.thaw_seconds
        days = settings.backup.long_term.retention_days
        chosen = plan.choose(info, own.long_term_label, days, until)
        segment_bytes = context.ask(IDENTITY).segment_bytes
        needed = plan.needed(settings, info, chosen, objects, segment_bytes)
        findings = [
            plan.judge_info_readable(needed, settings.backup.long_term.transition_min_bytes),
            plan.judge_set_complete(needed),
            plan.judge_wal_range(needed),
        ]
        for finding in findings[1:]:
            if not finding.good:
                raise _broken(finding)
        rows = plan.price(needed, settings.monitoring.prices, own.thaw_tier, own.thaw_days)
        usd = cast(float, rows[-1]["USD"])
        if usd > own.thaw_limit_usd:
            raise UsageError(
                "the thaw costs more than its limit",
                f"{usd:.2f} USD, limit {own.thaw_limit_usd:g}",
                hint="thaw_tier `bulk` is cheaper and slower; or raise thaw_limit_usd",
            )
        drill.asked, drill.target = asked, RecoveryTarget("immediate")
        drill.keep("needed", needed)
        hours = plan.stated_hours(needed.frozen, own.thaw_tier)
        return Outcome(
            summary=f"Set `{chosen.label}` of repo2 ({chosen.kind}): {_said(needed, hours, usd)}",
            table=rows,
            findings=findings,
            measures={"thaw_usd": usd, "thaw_stated_hours": hours, "long_term_label": chosen.label},
        )

    def provision_primary(self, context: Context, drill: Drill) -> Outcome:
        return self.nothing("nobody is lost")

    def baseline_backup(self, context: Context, drill: Drill) -> Outcome:
        """The set is thawed. A run that ended while it waited is gone on with."""
        needed, own = _needed(drill), parameters(context)
        hours = plan.stated_hours(needed.frozen, own.thaw_tier)
        running = sum(item.thawing for item in needed.objects)
        began, at = time.monotonic(), utc_now()
        asked = thaw.order(context, needed, own.thaw_tier, own.thaw_days)
        context.journal.note("thaw", ordered=asked, in_progress=running, tier=own.thaw_tier)
        needed = thaw.wait(context, needed, own.thaw_tier, own.thaw_days, own.thaw_seconds)
        seconds = time.monotonic() - began
        drill.keep("needed", needed)
        drill.keep("thaw seconds", seconds)
        finding = plan.judge_thawed(needed, seconds, hours)
        phases = [Phase(name="thaw", started_at=stamp(at), seconds=round(seconds, 3))]
        if not hours:
            why = "Nothing was frozen, so nothing was thawed."
            return Outcome(summary=why, findings=[finding], measures={"thaw_seconds": 0.0})
        before = f" {running} were in progress before this run: its time is the rest of theirs."
        return Outcome(
            summary=f"{asked} objects were ordered and all {len(needed.objects)} can be read after "
            f"**{seconds:.0f} s** (S3 states {hours:g} h, {own.thaw_tier}). The copies stay "
            f"{own.thaw_days} days." + (before if running else ""),
            findings=[finding],
            phases=phases,
            measures={"thaw_seconds": round(seconds, 3), "thaw_ordered": asked},
        )

    def inject_fault(self, context: Context, drill: Drill) -> Outcome:
        """Nothing is struck; the clock starts when the set can be read."""
        drill.keep("clock", PhaseClock.now())
        return Outcome(summary="Nothing is struck. The clock starts: the set can be read.")

    def provision_drill_host(self, context: Context, drill: Drill) -> Outcome:
        """The scratch host knows repo2 alone, by a key that can read nothing else."""
        chosen = _needed(drill).backup
        outcome = recovering.make_host(
            context, drill, alone(context.settings), database=chosen.database_id
        )
        reach = Reach((replace(chosen, repo=1),), drill.host.reach.lines)
        drill.keep("host", replace(drill.host, reach=reach))
        return outcome

    def restore(self, context: Context, drill: Drill) -> Outcome:
        return recovering.restore_files(context, drill)

    def recover(self, context: Context, drill: Drill) -> Outcome:
        return recovering.replay(context, drill)

    def first_write(self, context: Context, drill: Drill) -> Outcome:
        """On the host itself: roles and passwords of the set are those of its day."""
        marker.prepare(drill.host.ssh)
        marker.write(drill.host.ssh, context.run_id, self.id)
        phase = drill.clock.close("first_write")
        return Outcome(
            summary=f"The copy took a write, {drill.clock.elapsed:.1f} s after the set could be "
            "read.",
            phases=[phase],
        )

    def verify(self, context: Context, drill: Drill) -> Outcome:
        own = context.settings.drill
        checks = recovering.integrity_checks(
            context, drill, own.application_database, own.application_query
        )
        findings, phase = recovering.verified(drill, recovering.run_checks(checks))
        good = sum(finding.good for finding in findings)
        return Outcome(
            summary=f"{good} of {len(findings)} checks passed in {phase.seconds:.1f} s.",
            findings=findings,
            phases=[phase],
        )

    def account(self, context: Context, drill: Drill) -> Outcome:
        """The thaw beside the restore: neither hidden nor held against the objective."""
        restored, thawed = drill.clock.elapsed, drill.part("thaw seconds", "baseline-backup")
        why = {
            "recovery_time_seconds": _OF_THE_LIVE,
            "recovery_point_seconds": "the set is as old as it is: commits since are in repo1",
        }
        return Outcome(
            summary=f"Thaw {thawed:.0f} s, then {restored:.1f} s to a verified copy of "
            f"`{drill.backup.label}`. {_OF_THE_LIVE.capitalize()}.",
            measures={"not_measured": why, "long_term_restore_seconds": round(restored, 3)},
        )


def alone(settings: Settings) -> Settings:
    """repo2 as the only repository: what the scratch host is told, and may read."""
    backup = settings.backup
    only = {"prefix": backup.long_term_prefix, "long_term": None}
    return settings.model_copy(update={"backup": backup.model_copy(update=only)})


def _repository(context: Context) -> tuple[StanzaInfo, list[s3.StoredObject]]:
    """What repo2 holds. Raises UsageError, UnfitTarget where it cannot be read."""
    backup = context.settings.backup
    objects = context.ask(s3.objects(backup.bucket, backup.long_term_prefix))
    info = context.ask(backups.info(backup.stanza))
    state = info.repository(REPO) if info else None
    if info is None or state is None:
        raise UsageError(
            "this target's pgBackRest knows no repo2",
            backup.stanza,
            hint="run the backup runbook first",
        )
    if state.code != OK:
        frozen = [i.key for i in objects if ".info" in i.key.rpartition("/")[2] and not i.readable]
        rule = Rule(
            "drill.thaw.info-readable",
            "repo2's info files can be read",
            "archive.info and backup.info in a class that is read at once",
            "B2",
        )
        raise UnfitTarget(
            "repo2 cannot be read",
            f"{state.message.strip()}" + (f"; frozen: {', '.join(frozen)}" if frozen else ""),
            hint="which lifecycle rule moved them? Ours moves only what is larger than "
            "backup.long_term.transition_min_bytes below backup/. Thaw them (aws s3api "
            "restore-object), copy them back to STANDARD, then start again"
            if frozen
            else "the backup runbook's step `verify-repositories` names what is wrong",
            breaks=rule,
        )
    return info, objects


def _broken(finding: Finding) -> UnfitTarget:
    rule = Rule(finding.id, finding.title, finding.expected, finding.requirement)
    return UnfitTarget(
        f"this is not so: {finding.title}", finding.observed, hint=finding.hint, breaks=rule
    )


def _said(needed: Needed, hours: float, usd: float) -> str:
    size = sum(item.size for item in needed.objects) / 1e6
    cold = needed.frozen
    if not cold:
        return f"{len(needed.objects)} objects, {size:.1f} MB, none frozen: nothing to thaw."
    wal = f"WAL {needed.backup.wal_start} to {needed.backup.wal_stop}"
    return (
        f"{len(needed.objects)} objects, {size:.1f} MB with {wal}; **{len(cold)} are frozen**, "
        f"thawing them takes **{hours:g} h** as S3 states it and costs **{usd:.4f} USD**. Whoever "
        "agrees to this run agrees to that."
    )


def _needed(drill: Drill) -> Needed:
    return cast(Needed, drill.part("needed", "check-target"))


SCENARIO = LongTermSet()
