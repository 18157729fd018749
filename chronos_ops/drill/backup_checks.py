"""Steps of the backup runbook that prove: the archive, the repositories, the schedule."""

import time
from datetime import UTC, datetime
from typing import Any

from chronos_ops.drill.archived import arrivals
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups, postgres, s3, systemd, wal_archive
from chronos_ops.facts.backups import StanzaInfo
from chronos_ops.facts.kept_configuration import KEPT, KEPT_CONFIGURATION
from chronos_ops.facts.verification import Verification, verification
from chronos_ops.model.errors import ChronosError, UnreadableAnswer
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.timing import stamp, utc_now
from chronos_ops.plans import judge_archive, judge_backup, judge_schedule
from chronos_ops.plans.cluster import declared_cluster
from chronos_ops.plans.jobs import STATE, schedules
from chronos_ops.plans.judge_backup import repositories
from chronos_ops.plans.judge_lifecycle import judge_lifecycle
from chronos_ops.plans.thaw import REPO, frozen_of, readable_when

_LOG_LINES = 400  # two weeks of hourly jobs: the weekly one is among them
ARRIVAL_SECONDS = 60.0  # a segment that is not there by then does not arrive
_MARK = """
SELECT pg_walfile_name(pg_create_restore_point('chronos: does WAL arrive?')) AS segment,
       pg_switch_wal()::text AS switched
"""


def _stanza(context: Context) -> StanzaInfo:
    found = context.ask(backups.info(context.settings.backup.stanza))
    if found is None:
        raise UnreadableAnswer("pgbackrest info says nothing", hint="is pgBackRest installed?")
    return found


def _broken(identifier: str, title: str, error: ChronosError, requirement: str) -> Finding:
    """A check that could not run is never a pass (B9)."""
    return Finding(
        id=identifier,
        status=Status.ERROR,
        title=title,
        observed=error.text()[:600],
        expected="the check itself runs",
        hint=error.hint,
        requirement=requirement,
    )


# -- WAL


def archive_check(context: Context) -> Outcome:
    """Close a WAL segment, see it arrive in every repository; look for holes and a backlog."""
    settings = context.settings
    set_to = context.ask(postgres.settings("archive_mode", "archive_command", "archive_timeout"))
    findings = [judge_archive.judge_command(set_to, settings.backup.stanza)]
    context.say("closing a WAL segment")
    stanza = _stanza(context).name
    segment = str(context.ssh.sql_rows(_MARK)[0]["segment"])
    wanted = repositories(settings)
    arrived = arrivals(context, context.ssh, stanza, wanted, segment, ARRIVAL_SECONDS)
    for repo in repositories(settings):
        findings.append(
            judge_archive.judge_arrival(repo, segment, arrived.get(repo), ARRIVAL_SECONDS)
        )
    findings += [_continuity(context, repo) for repo in repositories(settings)]
    findings.append(judge_archive.judge_backlog(context.ask(wal_archive.ARCHIVER)))
    findings.append(_own_check(context))
    slowest = max(arrived.values()) if len(arrived) == len(repositories(settings)) else None
    findings.append(
        judge_archive.judge_recovery_point(
            float(set_to["archive_timeout"].value),
            slowest,
            settings.objectives.recovery_point_seconds,
        )
    )
    return Outcome(
        summary=f"WAL segment `{segment}` was closed and "
        + (
            f"seen in every repository {slowest:.1f} s later." if slowest else "did **not** arrive."
        ),
        table=[
            {"repository": f"repo{repo}", "arrived after (s)": round(arrived[repo], 2)}
            for repo in sorted(arrived)
        ],
        findings=findings,
        measures={"archive_push_seconds": slowest},
    )


def _continuity(context: Context, repo: int) -> Finding:
    try:
        info = _stanza(context)
        identity = context.ask(postgres.IDENTITY)
        listing = context.ask(wal_archive.archive_listing(info.name, repo, identity.segment_bytes))
    except ChronosError as error:
        identifier = f"backup.archive.continuous-repo{repo}"
        return _broken(identifier, f"repo{repo}'s WAL has no hole", error, "B3")
    return judge_archive.judge_continuity(
        info, repo, listing, all_the_way=repo == 1, segment_bytes=identity.segment_bytes
    )


def _own_check(context: Context) -> Finding:
    """pgBackRest's own check, from configuration to archive, over every repository."""
    stanza = context.settings.backup.stanza
    argv = ["pgbackrest", f"--stanza={stanza}", "--log-level-console=info", "check"]
    log = context.folder / "logs" / "pgbackrest-check.log"
    answer = context.ssh.run(argv, user="postgres", accept=range(256), log=log)
    said = (answer.stdout + answer.stderr).strip().splitlines()
    errors = [line for line in said if "ERROR" in line or "WARN" in line]
    arrived = [line for line in said if "successfully archived" in line]
    return judge(
        "backup.pgbackrest-check",
        "pgBackRest's own check passes for every repository",
        passed=answer.exit_code == 0
        and len(arrived) == len(repositories(context.settings))
        and not errors,
        observed=f"exit code {answer.exit_code}, {len(arrived)} archives proven"
        + "".join(f"; {line.strip()}" for line in errors[:3]),
        expected=f"exit code 0, {len(repositories(context.settings))} archives proven",
        hint="logs/pgbackrest-check.log of this run has all of it",
        requirement="B5",
    )


# -- repositories


def verify_repositories(context: Context) -> Outcome:
    """Read every repository again, and judge verify by its text, info and storage classes (B9)."""
    settings = context.settings
    info = _stanza(context)
    identity = context.ask(postgres.IDENTITY)
    rules = context.ask(s3.lifecycle(settings.backup.bucket))
    findings = [judge_lifecycle(settings, rules)]
    table: list[dict[str, Any]] = []
    for repo in repositories(settings):
        findings.append(judge_backup.judge_repository(info, repo))
        objects = _objects(context, repo)
        findings += judge_backup.judge_storage(settings, repo, objects)
        context.say(f"reading repo{repo} again")
        verified, row = _verify(context, info, repo, objects)
        findings.append(verified)
        table.append({"repository": f"repo{repo}", "objects": len(objects), **row})
    findings.append(judge_backup.judge_page_errors(info, data_checksums=identity.data_checksums))
    good = all(finding.good for finding in findings)
    return Outcome(
        summary="Every repository was read again and is whole."
        if good
        else "**Not everything in the repositories is whole.**",
        table=table,
        findings=findings,
    )


verify_repositories.probe = True  # type: ignore[attr-defined] # reads only


def _objects(context: Context, repo: int) -> list[s3.StoredObject]:
    backup = context.settings.backup
    prefix = backup.prefix if repo == 1 else backup.long_term_prefix
    return context.ask(s3.objects(backup.bucket, prefix))


def _verify(
    context: Context, info: StanzaInfo, repo: int, objects: list[s3.StoredObject]
) -> tuple[Finding, dict[str, Any]]:
    """Verify a repository whole; where sets are frozen by design, every other set of it."""
    identifier, title = f"backup.repo{repo}.verified", f"repo{repo} was read again and is whole"
    cold = [b.label for b in info.of_repo(repo) if frozen_of(b, objects)]
    labels = [b.label for b in info.of_repo(repo) if b.label not in cold] if cold else [""]
    row: dict[str, Any] = {"files": 0, "WAL segments": 0, "frozen sets, not read": len(cold)}
    finding = Finding(
        id=identifier,
        status=Status.NOT_APPLICABLE,
        title=title,
        observed=f"all {len(cold)} sets are frozen by design",
        expected="the drill's scenario long_term_set reads them",
        requirement="B9",
    )
    for label in labels:
        try:
            found: Verification = context.ask(verification(info.name, repo, label))
        except ChronosError as error:
            return _broken(identifier, title, error, "B9"), row
        row["files"] += found.files_valid
        row["WAL segments"] += found.wal_valid
        finding = judge_backup.judge_verification(found, repo)
        if not finding.good:
            break
    return finding, row


def restore_points(context: Context) -> Outcome:
    """Which moments the database can really be brought back to, from what the repositories hold."""
    info = _stanza(context)
    backup = context.settings.backup
    now = utc_now().timestamp()
    findings: list[Finding] = []
    for repo in repositories(context.settings):
        findings += judge_backup.judge_ages(info, repo, now)
    stored = _objects(context, REPO) if backup.long_term else []
    table = [
        {
            "repository": f"repo{item.repo}",
            "backup": item.label,
            "type": item.kind,
            "ended (UTC)": _utc(item.stopped),
            "database": _size(item.size),
            "in the repository": _size(item.repository_size),
            "readable": readable_when(item, stored if item.repo == REPO else ()),
        }
        for item in info.backups
    ]
    live = info.of_repo(1)
    since = f"any moment since **{_utc(live[0].stopped)} UTC**" if live else "**nothing yet**"
    return Outcome(
        summary=f"From repo1: {since}, up to the last WAL segment that arrived. In the steady "
        f"state {backup.retention_full} daily fulls reach {backup.retention_full - 1} to "
        f"{backup.retention_full} days back. Differentials are kept only for the newest fulls "
        f"(`retention-diff={backup.retention_diff}` counts fulls too): they shorten the replay, "
        "they add no restore point." + _long_term(context, info),
        table=table,
        findings=findings,
        measures={
            "backup_sets": [
                {
                    "repository": f"repo{item.repo}",
                    "type": item.kind,
                    "stopped": stamp(datetime.fromtimestamp(item.stopped, UTC)),
                }
                for item in info.backups
            ]
        },
    )


restore_points.probe = True  # type: ignore[attr-defined]


def _long_term(context: Context, info: StanzaInfo) -> str:
    long_term = context.settings.backup.long_term
    if long_term is None:
        return ""
    return (
        f" From repo2: the end of each of its {len(info.of_repo(2))} fulls "
        f"(one a week, {long_term.retention_days} days), and any moment since the newest of them."
    )


def _utc(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def _size(number: int) -> str:
    return f"{number / 2**20:.1f} MiB"


# -- schedule


def schedule_check(context: Context) -> Outcome:
    """Timers wait, their jobs end well, /etc/postgresql is kept with the backups (B6, B3)."""
    wanted = schedules(context.settings)
    names = [name for s in wanted for name in (s.timer, s.service)]
    units = context.ask(systemd.units(*names))
    now = utc_now().timestamp()
    findings = [judge_schedule.judge_timer(schedule, units) for schedule in wanted]
    ends = context.ask(backups.job_log(f"{STATE}/jobs.log", lines=_LOG_LINES))
    findings += [judge_schedule.judge_job(schedule, units, now, ends) for schedule in wanted]
    findings += [judge_schedule.judge_drop_ins(units.values()), _config_files(context)]
    running = context.ask(backups.RUNNING)
    findings.append(judge_schedule.judge_running(running))
    return Outcome(
        summary=f"{len(wanted)} timers; the jobs' last ends are below.",
        table=[
            {
                "job": schedule.title,
                "calendar": schedule.calendar,
                "next (UTC)": units[schedule.timer].following,
            }
            for schedule in wanted
            if schedule.timer in units
        ],
        findings=findings,
        text="\n".join(ends[-20:]) or "no job has ended yet",
    )


schedule_check.probe = True  # type: ignore[attr-defined]


def _config_files(context: Context) -> Finding:
    """The copy in the data directory, which every backup takes with it, is the present one."""
    clusters = context.ask(postgres.CLUSTERS)
    cluster = declared_cluster(context.settings, clusters)
    kept = context.ask(KEPT_CONFIGURATION)
    differs = kept.get(f"{cluster.version}/{cluster.name}") if cluster else None
    alike = "they are the same" if differs == "" else "there is no such cluster"
    return judge(
        "backup.config-files",
        "The files under /etc/postgresql are kept with the backups",
        passed=None if differs is None else not differs,
        observed=differs or alike,
        expected=f"{KEPT} in the data directory holds them as they are now",
        hint="they were changed since the last backup: the next one takes them along, and so does "
        "a run of this runbook (or systemctl start chronos-backup-diff.service)",
        requirement="B3",
    )


# -- point-in-time recovery


def pitr_proof(context: Context) -> Outcome:
    """Restore to a moment on a scratch host: the transaction before is there, that after is not."""
    if not getattr(context.parameters, "pitr_test", True):
        skipped = Finding(
            id="backup.pitr",
            status=Status.NOT_APPLICABLE,
            title="Point-in-time recovery is proven from both sides",
            observed="switched off for this run (pitr_test = False): nothing is proven",
            expected="a restore to a moment between two transactions",
            requirement="B5",
        )
        return Outcome(summary="Not tested: `pitr_test = False`.", findings=[skipped])
    from chronos_ops.drill.pitr import prove_pitr

    outcome = prove_pitr(context)
    live = _stanza(context).of_repo(1)
    met = judge_recovery_time(
        outcome,
        _size(live[-1].size) if live else "nothing",
        context.settings.objectives.recovery_time_seconds,
    )
    return outcome.model_copy(update={"findings": [*outcome.findings, met]})


def judge_recovery_time(outcome: Outcome, size: str, objective: float) -> Finding:
    """RTO by the proof's own clock: the host was made earlier, while other steps went on (B8)."""
    seconds = float(outcome.measures.get("pitr_seconds") or 0.0)
    making = [phase.seconds for phase in outcome.phases if phase.name == "provision"]
    known = seconds > 0 and bool(making)
    return judge(
        "backup.objective.recovery-time",
        "The recovery time objective holds by measurement",
        passed=seconds < objective if known else None,
        observed=f"{seconds:.0f} s to a verified copy of {size}: {sum(making):.0f} s for the "
        f"scratch host and {seconds - sum(making):.0f} s for restore, replay and first query"
        if known
        else "the time of the proof, or of its scratch host, was not measured",
        expected=f"less than {objective:.0f} s",
        hint="disaster_recovery.ipynb measures it by phase; a larger bundle restores faster",
        requirement="B8",
    )
