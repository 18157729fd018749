"""What each metric's alarm watches for, why, and what to do when it fires (M1, M7, M8)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from chronos_ops.model.alarm import Comparison, Statistic
from chronos_ops.model.calendar import parse_calendar
from chronos_ops.model.errors import UsageError
from chronos_ops.model.monitoring import Threshold
from chronos_ops.model.settings import Settings

_ABOVE: Comparison = "GreaterThanThreshold"
_BELOW: Comparison = "LessThanThreshold"
_BACKUP, _HARDENING, _DRILL = (
    f"runbook {name}"
    for name in ("pgbackrest_backup_restore", "security_hardening", "disaster_recovery")
)
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
_SLACK_HOURS = 1.5  # for the queue of jobs, and for the backup itself
_UNREAD_CALENDAR_HOURS = 26.0
_DRILL_HOURS = 35 * 24.0


@dataclass(frozen=True)
class Rule:
    """One metric's alarm. `default` is the threshold where the parameters name none."""

    metric: str
    statistic: Statistic
    comparison: Comparison
    default: Callable[[Settings], Threshold]
    why: str
    mend: str


def _fixed(value: float, periods: int = 1) -> Callable[[Settings], Threshold]:
    return lambda _settings: Threshold(value=value, periods=periods)


def longest_gap_hours(*calendars: str) -> float | None:
    """Between two starts of any of them, over four weeks; None: one is not understood."""
    starts: set[datetime] = set()
    for text in calendars:
        try:
            calendar = parse_calendar(text)
        except UsageError:
            return None
        starts |= set(calendar.between(_MONDAY, _MONDAY + timedelta(weeks=4)))
    gaps = [later - earlier for earlier, later in pairwise(sorted(starts))]
    return max(gaps).total_seconds() / 3600 if gaps else None


def _backup_age(*calendars: str) -> Threshold:
    gap = longest_gap_hours(*calendars)
    return Threshold(value=_UNREAD_CALENDAR_HOURS if gap is None else gap + _SLACK_HOURS)


def _certificate(settings: Settings) -> Threshold:
    declared = settings.hardening.certificate
    return Threshold(value=declared.warn_days if declared else 21)


def _long_term(settings: Settings) -> Threshold:
    term = settings.backup.long_term
    return _backup_age(term.full_calendar) if term else Threshold(value=8 * 24)


RULES: tuple[Rule, ...] = (
    Rule("heartbeat", "SampleCount", _BELOW, _fixed(1, 2),
         "silence of the publisher would hide everything else",
         "look at chronos-metrics.service on the host; runbook cloudwatch_monitoring"),
    Rule("disk_used_percent", "Average", _ABOVE, _fixed(80, 2),
         "a full disk stops the database (M1)",
         "find what grows: pg_wal (archiving stuck?), logs, tables"),
    Rule("cpu_used_percent", "Average", _ABOVE, _fixed(80, 3),
         "the database answers late; a burstable instance slows down (M1)",
         "look at pg_stat_activity and at the burst capacity"),
    Rule("memory_used_percent", "Average", _ABOVE, _fixed(80, 3),
         "the kernel kills the largest process: the database (M1)",
         "look at work_mem, connections, other programs"),
    Rule("backup_age_hours", "Maximum", _ABOVE,
         lambda s: _backup_age(s.backup.full_calendar, s.backup.diff_calendar),
         "longer than the longest gap of the calendars and 1.5 hours: backups have stopped",
         _BACKUP),
    Rule("archive_backlog_files", "Minimum", _ABOVE, _fixed(2, 2),
         "even the least in the period: the archiver is stuck, pg_wal will fill the disk; a burst "
         "or an idle database is no fault", _BACKUP),
    Rule("archive_failures", "Sum", _ABOVE, _fixed(2, 2),
         "one failed attempt is retried; again and again is a revoked key or a wrong policy",
         _BACKUP),
    Rule("repository_lag_segments", "Minimum", _ABOVE, _fixed(2, 2),
         "the server has closed WAL that the repository does not hold: archive_command pretends",
         _BACKUP),
    Rule("certificate_days_left", "Minimum", _BELOW, _certificate,
         "the renewal does not work, or the renewed one is not served", _HARDENING),
    Rule("drill_age_hours", "Maximum", _ABOVE, _fixed(_DRILL_HOURS),
         "a month and some days without a proven recovery", _DRILL),
    Rule("swap_used_percent", "Average", _ABOVE, _fixed(50, 3),
         "memory does not suffice", "as for memory"),
    Rule("load_per_cpu", "Average", _ABOVE, _fixed(2, 3),
         "work queues up", "as for CPU"),
    Rule("connections_used_percent", "Maximum", _ABOVE, _fixed(80, 2),
         "the next client is refused", "look at pg_stat_activity; a pooler is missing"),
    Rule("oldest_transaction_seconds", "Maximum", _ABOVE, _fixed(3600),
         "vacuum cannot clean behind it", "look at pg_stat_activity, xact_start"),
    Rule("checksum_failures", "Maximum", _ABOVE, _fixed(0),
         "a page was damaged on its way to the disk or on it",
         f"restore what is damaged; {_DRILL}, {_BACKUP}"),
    Rule("archive_backlog_bytes", "Minimum", _ABOVE, _fixed(512 * 1024**2, 2),
         "as for archive_backlog_files", _BACKUP),
    Rule("full_backup_age_hours", "Maximum", _ABOVE,
         lambda s: _backup_age(s.backup.full_calendar),
         "differentials lean on an ever older full", _BACKUP),
    Rule("long_term_backup_age_hours", "Maximum", _ABOVE, _long_term,
         "the year's history has a hole", _BACKUP),
)  # fmt: skip
BY_METRIC = {rule.metric: rule for rule in RULES}
