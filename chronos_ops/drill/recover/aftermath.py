"""After the cut-over: the new host becomes what the lost one was. Each step may be done again."""

import time

from chronos_ops.drill import backup_checks, host_checks, marker
from chronos_ops.drill.backup_checks import archive_check, schedule_check
from chronos_ops.drill.recover import place
from chronos_ops.drill.recover.configuration import give_back, open_to_applications
from chronos_ops.drill.recover.fence import shown, users
from chronos_ops.drill.recover.parameter_file import adopt
from chronos_ops.drill.recover.stages import bring, bring_all, bring_when_fit
from chronos_ops.drill.scenario import Scenario
from chronos_ops.drill.state import Drill
from chronos_ops.drill.steady import SteadyState, look
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups, iam
from chronos_ops.facts.backups import BackupSet
from chronos_ops.facts.postgres import IDENTITY
from chronos_ops.model.errors import ChronosError, UnreadableAnswer
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.timing import Achieved
from chronos_ops.model.wal import WalSegment
from chronos_ops.plans import alarms, backup, hardening, monitoring
from chronos_ops.plans.jobs import Schedule, schedules, start_now

FLOW_SECONDS = 300.0  # the first metrics of a new host
# Page checksums are a property of the restored cluster: to switch them on rewrites all of it.
_NOT_TONIGHT = (hardening.POSTGRES_CHECKSUMS,)


class Aftermath(Scenario):
    """The steps of a recovery for real that follow the cut-over."""

    def _new(self, context: Context, drill: Drill) -> tuple[Context, str]:
        part = drill.part("new", "cut-over")
        assert isinstance(part, tuple)
        return place.serving(context, part[0]), part[1]

    def steady(self, context: Context, drill: Drill) -> SteadyState | None:
        """Of the new host, once it serves: the lost one is left alone."""
        return look(self._new(context, drill)[0]) if drill.has("new") else None

    def archiving_on(self, context: Context, drill: Drill) -> Outcome:
        """Configuration as declared, a key of its own, WAL to every repository; doors open."""
        new, major = self._new(context, drill)
        _forget_revoked_keys(context)
        findings: list[Finding] = []
        for stage in (backup.IAM_USER, backup.PGBACKREST_CONFIG):
            findings.append(bring(new, stage)[1])
        findings += give_back(new, major)
        for stage in (backup.DATABASE_ACCESS, backup.STANZA, backup.ARCHIVING):
            findings.append(bring(new, stage)[1])
        _archive_history(new)
        checked = archive_check(new)
        open_to_applications(new.ssh)
        findings.append(bring(new, hardening.LIGHTSAIL_FIREWALL)[1])
        phase = drill.clock.close("archiving")
        ends = drill.clock.ends
        return checked.model_copy(
            update={
                "summary": f"Applications are let in again, {drill.clock.elapsed:.0f} s after the "
                f"decision; WAL goes to every repository. {checked.summary}",
                "findings": [*findings, *checked.findings],
                "phases": [phase],
                "achieved": Achieved(
                    recovery_time_seconds=ends["archiving"],
                    first_write_seconds=ends.get("first_write"),
                    verified_seconds=ends.get("verify"),
                ),
            }
        )

    def full_backup(self, context: Context, drill: Drill) -> Outcome:
        """Every kind of backup once, by its own service: a full in every repository, now."""
        new, _ = self._new(context, drill)
        findings = [bring(new, backup.BACKUP_JOBS)[1]]
        timeline = WalSegment.parse(marker.now(new.ssh)["segment"]).timeline
        done: list[str] = []
        for schedule in schedules(new.settings):
            if not _taken(new, schedule, timeline):
                deed = start_now(schedule)
                new.say(f"{schedule.title} …")
                new.ssh.run(deed.argv, sudo=True, timeout=deed.timeout_seconds)
                done.append(schedule.title)
        findings += [_judge_taken(new, schedule, timeline) for schedule in schedules(new.settings)]
        return Outcome(
            summary=f"On timeline {timeline}: {'; '.join(done) or 'all taken already'}.",
            findings=findings,
            phases=[drill.clock.close("full_backup")],
        )

    def timers(self, context: Context, drill: Drill) -> Outcome:
        """The schedule goes on."""
        new, _ = self._new(context, drill)
        finding = bring(new, backup.TIMERS)[1]
        checked = schedule_check(new)
        return checked.model_copy(update={"findings": [finding, *checked.findings]})

    def harden(self, context: Context, drill: Drill) -> Outcome:
        """The hardening runbook's own stages, on the new host."""
        new, _ = self._new(context, drill)
        wanted = [stage for stage in hardening.STAGES if stage not in _NOT_TONIGHT]
        table, findings = bring_all(new, wanted)
        undeclared = (
            ""
            if new.settings.hardening.certificate is not None
            else " No certificate is declared: the server shows the one that its release made."
        )
        return Outcome(
            summary=f"{len(wanted)} stages; the proofs from outside are the runbook "
            f"`security_hardening`'s own: run it in the morning.{undeclared}",
            table=table,
            findings=findings,
        )

    def monitor(self, context: Context, drill: Drill) -> Outcome:
        """The monitoring runbook's own stages; the lost host's alarms go."""
        new, _ = self._new(context, drill)
        rest = monitoring.STAGES.index(monitoring.ALARMS)
        table, findings = bring_all(new, monitoring.STAGES[:rest])
        try:
            made, found = bring_when_fit(new, monitoring.ALARMS, FLOW_SECONDS)
            table.append({"stage": monitoring.ALARMS.name, "done": f"{len(made.changes)} changes"})
            findings.append(found)
        except ChronosError:
            more = bring_all(new, (monitoring.ALARMS,))
            table, findings = table + more[0], findings + more[1]
        more = bring_all(new, monitoring.STAGES[rest + 1 :])
        gone = _forget_alarms(context)
        return Outcome(
            summary=f"{len(table) + len(more[0])} stages; {gone} alarms of the lost host deleted. "
            "Who is subscribed stays subscribed.",
            table=table + more[0],
            findings=findings + more[1],
        )

    def look_over(self, context: Context, drill: Drill) -> Outcome:
        """The backup runbook's own looks, at the new host."""
        new, _ = self._new(context, drill)
        kept = bring(new, backup.FIRST_BACKUPS)[1]  # hardening changed files of /etc/postgresql
        looks = (
            host_checks.connection_check,
            backup_checks.verify_repositories,
            backup_checks.restore_points,
            host_checks.rights_check,
        )
        seen = [each(new) for each in looks]
        return Outcome(
            summary=" ".join(outcome.summary for outcome in seen),
            findings=[kept, *(finding for outcome in seen for finding in outcome.findings)],
        )

    def adopt(self, context: Context, drill: Drill) -> Outcome:
        """The parameter file names the new host."""
        new, _ = self._new(context, drill)
        diff = adopt(new.settings)
        path = f"parameters/{new.settings.target}.yaml"
        lost = context.settings.host.instance
        return Outcome(
            summary=f"`{path}` names `{new.settings.host.instance}` now: keep that change in your "
            f"repository. `{lost}` is kept, stopped, without keys: delete it in the console when "
            "nobody needs it any more."
            if diff
            else f"`{path}` names `{new.settings.host.instance}` already.",
            text=diff,
        )


def _archive_history(new: Context) -> None:
    """Where its timeline began: the server archives that at its promotion only, and archiving was
    off then. Without it no recovery finds from the older sets to this timeline."""
    identity = new.ask(IDENTITY)
    if identity.timeline > 1:
        path = f"{identity.data_directory}/pg_wal/{identity.timeline:08X}.history"
        stanza = f"--stanza={new.settings.backup.stanza}"
        argv = ["pgbackrest", stanza, "--no-archive-async", "archive-push", path]
        with new.journal.interval("deed", f"archive {path}"):
            new.ssh.run(argv, user="postgres")


def _forget_revoked_keys(context: Context) -> None:
    """What the fence revoked is deleted: it can never write again, and a user has two keys only."""
    for user in dict.fromkeys(users(context)):
        for key in context.ask(iam.access_keys(user)):
            if not key.active:
                with context.journal.interval("deed", f"delete the revoked key …{shown(key.id)}"):
                    arguments = {"UserName": user, "AccessKeyId": key.id}
                    context.aws.call("iam", "delete_access_key", **arguments)


def _forget_alarms(context: Context) -> int:
    """Alarms of the lost host would stand in ALARM for ever: missing data is breaching."""
    prefix = alarms.prefix(context.settings)
    found = context.aws.call("cloudwatch", "describe_alarms", AlarmNamePrefix=prefix)
    names = [alarm["AlarmName"] for alarm in found["MetricAlarms"]]
    if names:
        with context.journal.interval("deed", f"delete the alarms {prefix}*"):
            context.aws.call("cloudwatch", "delete_alarms", AlarmNames=names)
    return len(names)


def _newest(new: Context, schedule: Schedule) -> BackupSet | None:
    found = new.ask(backups.info(new.settings.backup.stanza))
    if found is None:
        raise UnreadableAnswer("pgbackrest info says nothing", hint="is it configured?")
    full = schedule.backup_type == "full"
    sets = [b for b in found.of_repo(schedule.repo) if (b.kind == "full") == full]
    return sets[-1] if sets else None


def _taken(new: Context, schedule: Schedule, timeline: int) -> bool:
    newest = _newest(new, schedule)
    return newest is not None and WalSegment.parse(newest.wal_start).timeline == timeline


def _judge_taken(new: Context, schedule: Schedule, timeline: int) -> Finding:
    newest = _newest(new, schedule)
    on = None if newest is None else WalSegment.parse(newest.wal_start).timeline
    return judge(
        f"recover.backup.{schedule.kind}",
        f"there is a new {schedule.title}, on the new timeline",
        passed=newest is not None and on == timeline and newest.stopped <= time.time() + 60,
        observed="none" if newest is None else f"{newest.label}, timeline {on}",
        expected=f"one on timeline {timeline}",
        hint=f"journalctl -u {schedule.service} on the host",
        requirement="D9",
    )
