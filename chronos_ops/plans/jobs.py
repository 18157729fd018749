"""The scheduled jobs on the host: script, services, first backups, timers (B3, B5, B6)."""

from dataclasses import dataclass
from typing import Any

from chronos_ops.facts import cron, postgres, source
from chronos_ops.facts.backups import SOURCE_ANNOTATION, StanzaInfo, info
from chronos_ops.facts.cron import Job
from chronos_ops.facts.files import texts
from chronos_ops.facts.kept_configuration import KEPT, KEPT_CONFIGURATION
from chronos_ops.facts.systemd import Unit, units
from chronos_ops.model.plan import Change, Deed, Plan, RemoveFile, RunCommand, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.cluster import declared_cluster, missing_cluster
from chronos_ops.plans.templating import render

PREFIX = "chronos-backup-"
JOB = "/usr/local/lib/chronos/backup-job"
STATE = "/var/lib/chronos-backup"
UNITS = "/etc/systemd/system"
_QUEUE_SECONDS = 50 * 60  # a differential waits so long; the next one is due after an hour
_RELOAD = RunCommand(argv=("systemctl", "daemon-reload"))


@dataclass(frozen=True)
class Schedule:
    """One scheduled kind of backup."""

    kind: str
    title: str
    calendar: str
    repo: int
    backup_type: str
    timeout: str

    @property
    def service(self) -> str:
        return f"{PREFIX}{self.kind}.service"

    @property
    def timer(self) -> str:
        return f"{PREFIX}{self.kind}.timer"


def schedules(settings: Settings) -> list[Schedule]:
    """What is scheduled on the target's host (B6)."""
    backup = settings.backup
    found = [
        Schedule("full", "full backup to repo1", backup.full_calendar, 1, "full", "12h"),
        Schedule("diff", "differential backup to repo1", backup.diff_calendar, 1, "diff", "6h"),
    ]
    if backup.long_term is not None:
        calendar = backup.long_term.full_calendar
        found.append(Schedule("long-term", "full backup to repo2", calendar, 2, "full", "24h"))
    return found


# -- script and services


def job_facts(settings: Settings) -> dict[str, Fact[Any]]:
    """The job's files as they are, and jobs of another hand."""
    paths = [JOB, *(f"{UNITS}/{s.service}" for s in schedules(settings))]
    return {
        "clusters": postgres.CLUSTERS,
        "texts": texts(*paths),
        "foreign": cron.jobs("pgbackrest"),
    }


def plan_jobs(settings: Settings, values: dict[str, Any]) -> Plan:
    """The queue's script and a service for each kind."""
    name = "backup-jobs"
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(name=name, refusals=(missing_cluster(settings, values["clusters"]),))
    wanted = {
        JOB: render(
            "backup-job.sh.j2",
            state=STATE,
            prefix=PREFIX,
            queue_seconds=_QUEUE_SECONDS,
            poll_seconds=2,
            stanza=settings.backup.stanza,
            data_directory=cluster.data_directory,
            config_directory=cluster.config_directory,
            kept=KEPT,
            port=cluster.port,
            source_script=source.SCRIPT.lstrip(),
            annotation=SOURCE_ANNOTATION,
        )
    }
    for schedule in schedules(settings):
        wanted[f"{UNITS}/{schedule.service}"] = render(
            "backup.service.j2",
            title=schedule.title,
            postgres_unit=cluster.unit,
            job=JOB,
            kind=schedule.kind,
            timeout=schedule.timeout,
        )
    changes = [_file(path, text, values["texts"][path]) for path, text in wanted.items()]
    done = tuple(change for change in changes if change is not None)
    return Plan(
        name=name,
        changes=done,
        noop_reason="" if done else "script and services are in place",
        refusals=_foreign(values["foreign"]),
    )


def _foreign(jobs: list[Job]) -> tuple[str, ...]:
    """Another scheduler of the same backups would run beside our queue."""
    return tuple(
        f"{job.file} runs pgBackRest already ({job.line[:120]}): take it out, the timers take over"
        for job in jobs
    )


def _file(path: str, text: str, current: str | None) -> Change | None:
    if current == text:
        return None
    mode = "0755" if path == JOB else "0644"
    write = WriteFile(path=path, content=text, mode=mode)
    undo: Deed = (
        RemoveFile(path=path)
        if current is None
        else WriteFile(path=path, content=current, mode=mode)
    )
    is_unit = path.startswith(UNITS)
    reload: tuple[Deed, ...] = (_RELOAD,) if is_unit else ()
    name = path.rpartition("/")[2]
    return Change(
        id=f"backup-job.{name}",
        title=f"write {path}",
        why="all backups of a host go through one queue (B6)"
        if not is_unit
        else "a backup is a service: its log is in the journal, its end is judged (B6)",
        deeds=(write, *reload),
        undo=(undo, *reload),
        before=current or "",
        after=text,
    )


# -- first backups


def first_facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What the repositories hold already, and whether the configuration is the one they hold."""
    return {
        "info": info(settings.backup.stanza),
        "clusters": postgres.CLUSTERS,
        "kept": KEPT_CONFIGURATION,
    }


def plan_first(settings: Settings, values: dict[str, Any]) -> Plan:
    """A full in every repository and a differential in the live one, if there is none yet (B5).

    A configuration that was changed since the last backup is in none: a differential takes it.
    """
    name = "first-backups"
    found: StanzaInfo | None = values["info"]
    if found is None:
        return Plan(name=name, refusals=("pgBackRest is not installed or not configured",))
    changes: list[Change] = []
    for schedule in schedules(settings):
        have = found.of_repo(schedule.repo, "full" if schedule.backup_type == "full" else "")
        if schedule.backup_type == "diff":
            have = [b for b in have if b.kind != "full"]
        if not have:
            changes.append(_first(schedule))
    changed = _changed_configuration(settings, values)
    if changed and not changes:
        changes.append(_another(schedules(settings)[1], changed))
    return Plan(
        name=name,
        changes=tuple(changes),
        noop_reason="" if changes else "every repository has its backups, with the present files",
    )


def _changed_configuration(settings: Settings, values: dict[str, Any]) -> str:
    """Which files of the cluster differ from the copy that the backups hold; "": none."""
    cluster = declared_cluster(settings, values["clusters"])
    kept: dict[str, str] = values["kept"]
    return kept.get(f"{cluster.version}/{cluster.name}", "") if cluster else ""


def _first(schedule: Schedule) -> Change:
    return Change(
        id=f"backup.first-{schedule.kind}",
        title=f"take the first {schedule.title}",
        why="WAL alone restores nothing: a base backup must be in every repository (B5)",
        deeds=(start_now(schedule),),
        before=f"repo{schedule.repo}: no {schedule.backup_type} backup",
        after=f"repo{schedule.repo}: one {schedule.backup_type} backup",
    )  # no undo: expiry removes it in its time


def _another(schedule: Schedule, changed: str) -> Change:
    return Change(
        id="backup.configuration",
        title="take a differential backup: the configuration was changed",
        why="files under /etc/postgresql come back only if a backup holds them (B3)",
        deeds=(start_now(schedule),),
        before=changed,
        after="the backups hold the present files",
    )  # no undo: expiry removes it in its time


def start_now(schedule: Schedule) -> RunCommand:
    """One backup by its own service; what its journal says goes into the error."""
    script = 'systemctl start "$1" || { journalctl -u "$1" -n 40 --no-pager -o cat >&2; exit 1; }'
    argv = ("sh", "-c", script, "start", schedule.service)
    return RunCommand(argv=argv, timeout_seconds=43200)


# -- timers


def timer_facts(settings: Settings) -> dict[str, Fact[Any]]:
    """The timers as they are."""
    wanted = schedules(settings)
    return {
        "texts": texts(*(f"{UNITS}/{s.timer}" for s in wanted), name="timer_texts"),
        "units": units(*(s.timer for s in wanted)),
        "foreign": cron.jobs("pgbackrest"),
    }


def plan_timers(settings: Settings, values: dict[str, Any]) -> Plan:
    """A persistent timer for each kind, enabled and waiting."""
    changes = [
        change
        for schedule in schedules(settings)
        if (change := _timer(schedule, values)) is not None
    ]
    return Plan(
        name="timers",
        changes=tuple(changes),
        noop_reason="" if changes else "every timer is enabled and waits",
        refusals=_foreign(values["foreign"]),
    )


def _timer(schedule: Schedule, values: dict[str, Any]) -> Change | None:
    path = f"{UNITS}/{schedule.timer}"
    text = render(
        "backup.timer.j2",
        title=schedule.title,
        calendar=schedule.calendar,
        after="" if schedule.kind == "full" else f"{PREFIX}full.timer",
    )
    current: str | None = values["texts"][path]
    unit: Unit | None = values["units"].get(schedule.timer)
    state = f"{unit.enabled or 'absent'}, {unit.active}" if unit else "absent"
    if current == text and state == "enabled, active":
        return None
    undo: tuple[Deed, ...] = (RunCommand(argv=("systemctl", "disable", "--now", schedule.timer)),)
    if current is None:
        undo += (RemoveFile(path=path), _RELOAD)
    write: tuple[Deed, ...] = (WriteFile(path=path, content=text), _RELOAD)
    start = RunCommand(argv=("systemctl", "enable", "--now", schedule.timer))
    restart = RunCommand(argv=("systemctl", "restart", schedule.timer))
    return Change(
        id=f"timer.{schedule.kind}",
        title=f"schedule the {schedule.title}: {schedule.calendar}",
        why="a backup that nobody has to remember; after a downtime it catches up (B6)",
        deeds=(*write, start, restart) if current != text else (start,),
        undo=undo,
        before=(current or "") + f"# {state}\n",
        after=text + "# enabled, active\n",
    )


BACKUP_JOBS = Stage("backup-jobs", job_facts, plan_jobs)
FIRST_BACKUPS = Stage("first-backups", first_facts, plan_first)
TIMERS = Stage("timers", timer_facts, plan_timers)
