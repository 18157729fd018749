"""What is looked at live, beside the stages: by the other runbooks' own looks. Changes nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from chronos_ops.drill import backup_checks
from chronos_ops.evidence.folder import checkout
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups, postgres, wal_archive
from chronos_ops.facts.sshd import SSHD
from chronos_ops.hardening.firewalls import firewalls
from chronos_ops.hardening.logins import judge_effective
from chronos_ops.hardening.served import served_certificate
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.monitoring.back_test import back_test
from chronos_ops.monitoring.channels import channels
from chronos_ops.monitoring.flow import samples
from chronos_ops.plans import judge_archive, judge_backup
from chronos_ops.plans.alarms import metrics
from chronos_ops.preflight.host import database
from chronos_ops.preflight.looking import Look
from chronos_ops.publish.export import EXPORTED, FOLDER, markdown

_METRIC_PERIODS = 3  # so long a metric may have been silent


def _of(step: Callable[[Context], Outcome]) -> Callable[[Context], list[Finding]]:
    """The findings of another runbook's step."""
    return lambda context: list(step(context).findings)


def _repositories(context: Context) -> list[Finding]:
    info = context.ask(backups.info(context.settings.backup.stanza))
    numbers = judge_backup.repositories(context.settings)
    return [judge_backup.judge_repository(info, repo) for repo in numbers]


def _archiving(context: Context) -> list[Finding]:
    """WAL is archived by pgBackRest, and none of it waits."""
    command = context.ask(postgres.settings("archive_mode", "archive_command"))
    return [
        judge_archive.judge_command(command, context.settings.backup.stanza),
        judge_archive.judge_backlog(context.ask(wal_archive.ARCHIVER)),
    ]


def _sshd(context: Context) -> list[Finding]:
    return [judge_effective(context, context.ask(SSHD))]


def _metrics(context: Context) -> list[Finding]:
    """A value of each metric came just now: without one its alarm is deaf, or rings for silence."""
    monitoring = context.settings.monitoring
    seconds = _METRIC_PERIODS * max(monitoring.publish_seconds, monitoring.period_seconds)
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    names = metrics(context.settings)
    silent = [name for name in names if not samples(context, name, since)]
    return [
        judge(
            "readiness.metrics",
            "Every metric comes",
            passed=not silent,
            observed=f"silent: {', '.join(silent)}" if silent else f"{len(names)} metrics",
            expected=f"a value of each in the last {seconds} s",
            hint="journalctl -u chronos-metrics -u chronos-metrics-collect on the host",
            requirement="M2",
        )
    ]


def _documents(*names: str) -> Callable[[Context], list[Finding]]:
    """The generated runbooks say what the notebooks say now."""

    def take(_: Context) -> list[Finding]:
        root, wrong = checkout(), []
        for name in names:
            path = root / FOLDER / f"{name}.md"
            if not path.is_file():
                wrong.append(f"{path.name}: not there")
            elif path.read_text(encoding="utf-8") != markdown(root / f"notebooks/{name}.ipynb"):
                wrong.append(f"{path.name}: not what its notebook says")
        return [
            judge(
                "readiness.documents",
                "The runbooks are documented as they run",
                passed=not wrong,
                observed="; ".join(wrong) or f"{len(names)} in {FOLDER}",
                expected="each equal to its notebook",
                hint="./chronos docs export",
                requirement="R7",
            )
        ]

    return take


def _look(identifier: str, title: str, take: Callable[[Context], list[Finding]], of: str) -> Look:
    return Look(f"readiness.{identifier}", title, of, take)


DATABASE = _look("database", "PostgreSQL can be looked at", _of(database), "P3")
REPOSITORIES = _look("repositories", "The repositories can be read", _repositories, "B5")
AGES = _look("ages", "The backups' ages can be read", _of(backup_checks.restore_points), "B6")
SCHEDULE = _look("schedule", "The timers can be read", _of(backup_checks.schedule_check), "B6")
ARCHIVING = _look("archiving", "WAL archiving can be looked at", _archiving, "B3")
CERTIFICATE = _look("certificate", "The certificate can be seen", _of(served_certificate), "H4")
FIREWALLS = _look("firewalls", "Both firewalls can be read", _of(firewalls), "H1")
SSHD_EFFECTIVE = _look("sshd", "sshd's configuration can be read", _sshd, "H3")
METRICS = _look("metrics", "CloudWatch can be asked for metrics", _metrics, "M2")
ALARM_STATES = _look("alarms", "The alarms can be looked at", _of(back_test), "M1")
CHANNELS = _look("channels", "The topic can be looked at", _of(channels), "M3")
DR_DOCUMENT = _look("documents", "Its document", _documents("disaster_recovery"), "R7")
DOCUMENTS = _look("documents", "The documents", _documents(*EXPORTED), "R7")
