"""The metrics that a host sends: names, units, and whether they are sent by default (M2, M8).

All have exactly one dimension, `Host` (the instance's name), whoever sends them: an alarm must
name the same dimensions, or it watches a metric that does not exist.
"""

from dataclasses import dataclass

DIMENSION = "Host"


@dataclass(frozen=True)
class Metric:
    """One custom metric. `default`: among the ten that cost nothing (M6)."""

    name: str
    unit: str  # CloudWatch's StandardUnit
    title: str
    why: str
    default: bool = True


METRICS: tuple[Metric, ...] = (
    Metric("heartbeat", "Count", "publisher's heartbeat", "1 each time: silence is an alarm"),
    Metric("disk_used_percent", "Percent", "disk used", "a full disk stops the database"),
    Metric("cpu_used_percent", "Percent", "CPU used", "M1"),
    Metric("memory_used_percent", "Percent", "memory used (100 - available)", "M1"),
    Metric(
        "backup_age_hours",
        "None",
        "age of the newest backup in repo1",
        "a timer that is off makes no noise",
    ),
    Metric(
        "archive_backlog_files",
        "Count",
        "WAL segments that wait for the archiver",
        "an idle database has none, a stuck archiver more and more: the disk fills",
    ),
    Metric(
        "archive_failures",
        "Count",
        "failed archive attempts since the last tick",
        "the first sign of a revoked key or a wrong bucket policy",
    ),
    Metric(
        "repository_lag_segments",
        "Count",
        "closed WAL segments that the repository does not have",
        "an archive_command that only pretends has no backlog and no failure",
    ),
    Metric("certificate_days_left", "None", "days left of the served certificate", "H4"),
    Metric(
        "drill_age_hours",
        "None",
        "age of the last passed drill",
        "a backup that nobody restored is a hope",
    ),
    Metric("swap_used_percent", "Percent", "swap used", "2 GB is little", default=False),
    Metric("load_per_cpu", "None", "load (5 minutes) per CPU", "queueing", default=False),
    Metric(
        "connections_used_percent", "Percent", "connections used", "a full house", default=False
    ),
    Metric(
        "oldest_transaction_seconds",
        "Seconds",
        "age of the oldest transaction",
        "it holds vacuum back",
        default=False,
    ),
    Metric("checksum_failures", "Count", "page checksum failures", "a dying disk", default=False),
    Metric("archive_backlog_bytes", "Bytes", "bytes that wait for the archiver", "", default=False),
    Metric("full_backup_age_hours", "None", "age of the newest full backup", "", default=False),
    Metric(
        "long_term_backup_age_hours", "None", "age of the newest backup in repo2", "", default=False
    ),
)
BY_NAME = {metric.name: metric for metric in METRICS}
DEFAULT = tuple(metric.name for metric in METRICS if metric.default)
