"""What backup parameters promise together: lifecycle, retention, calendars, RPO (B2, B6, B8)."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from chronos_ops.model.calendar import Calendar, parse_calendar
from chronos_ops.model.errors import UsageError
from chronos_ops.plans.jobs import schedules
from chronos_ops.plans.lint.rule import Rule, Said, Subject, not_applicable, said

_PUSH_SECONDS = 60  # allowed for the push of one segment; the backup runbook measures it
_LARGEST_SMALL_FILE = 1024 * 1024
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
_WEEKS = 4


def _tiers(subject: Subject) -> Said:
    term = subject.settings.backup.long_term
    if term is None:
        return not_applicable("no repo2")
    days = (
        term.glacier_instant_after_days,
        term.deep_archive_after_days,
        term.retention_days,
        term.expire_after_days,
    )
    rising = 0 < days[0] < days[1] < days[2] < days[3]
    return said(good=rising, observed=" / ".join(str(day) for day in days) + " days")


def _prefixes(subject: Subject) -> Said:
    backup = subject.settings.backup
    if backup.long_term is None:
        return not_applicable("no repo2")
    one, two = (f"{p.strip('/')}/" for p in (backup.prefix, backup.long_term_prefix))
    apart = not (one.startswith(two) or two.startswith(one))
    return said(good=apart, observed=f"{backup.prefix} and {backup.long_term_prefix}")


def _small_files(subject: Subject) -> Said:
    term = subject.settings.backup.long_term
    if term is None:
        return not_applicable("no repo2")
    size = term.transition_min_bytes
    return said(good=size >= _LARGEST_SMALL_FILE, observed=f"{size} bytes")


def _recovery_point(subject: Subject) -> Said:
    settings = subject.settings
    bound = settings.backup.archive_timeout_seconds + _PUSH_SECONDS
    objective = settings.objectives.recovery_point_seconds
    return said(
        good=bound < objective,
        observed=f"archive_timeout {settings.backup.archive_timeout_seconds} s + {_PUSH_SECONDS} s "
        f"allowed for a push = {bound} s; objective {objective:.0f} s",
    )


def _calendars(subject: Subject) -> dict[str, Calendar | None]:
    found: dict[str, Calendar | None] = {}
    for schedule in schedules(subject.settings):
        try:
            found[schedule.kind] = parse_calendar(schedule.calendar)
        except UsageError:
            found[schedule.kind] = None
    return found


def _in_utc(subject: Subject) -> Said:
    calendars = _calendars(subject)
    unknown = [kind for kind, calendar in calendars.items() if calendar is None]
    if unknown:
        return said(good=None, observed=f"not understood: {', '.join(unknown)}")
    local = [kind for kind, calendar in calendars.items() if calendar and not calendar.utc]
    return said(good=not local, observed=f"without UTC: {', '.join(local) or 'none'}")


def _moments(subject: Subject) -> dict[str, set[datetime]] | None:
    """Every start in four weeks, by kind. None: a calendar is not understood."""
    found = {}
    for kind, calendar in _calendars(subject).items():
        if calendar is None:
            return None
        found[kind] = set(calendar.between(_MONDAY, _MONDAY + timedelta(weeks=_WEEKS)))
    return found


def _collisions(subject: Subject) -> Said:
    moments = _moments(subject)
    if moments is None:
        return said(good=None, observed="a calendar is not understood")
    # The weekly full of repo2 may wait for a differential of the same minute: both come to be.
    both = moments["full"] & (moments["diff"] | moments.get("long-term", set()))
    first = f", the first {min(both):%a %H:%M} UTC" if both else ""
    return said(good=not both, observed=f"{len(both)} in {_WEEKS} weeks{first}")


def _restore_points(subject: Subject) -> Said:
    backup, moments = subject.settings.backup, _moments(subject)
    if moments is None:
        return said(good=None, observed="a calendar is not understood")
    fulls = sorted(moments["full"])
    gaps = [later - earlier for earlier, later in pairwise(fulls)]
    if not gaps:
        return said(good=False, observed="fewer than two fulls in four weeks")
    kept = backup.retention_full
    reach = min(sum(gaps[i : i + kept - 1], timedelta()) for i in range(len(gaps) - kept + 2))
    days = reach.total_seconds() / 86400
    observed = (
        f"{kept} fulls kept: any moment of at least the last {days:.1f} days; retention-diff="
        f"{backup.retention_diff} counts the fulls too, so differentials only shorten the replay"
    )
    return said(good=kept >= 2 and days >= 1, observed=observed)


RULES = (
    Rule(
        "lint.backup.tiers",
        "repo2's tiers, retention and expiry follow each other",
        "Glacier IR < Deep Archive < pgBackRest's retention < the lifecycle's expiry",
        "the lifecycle is a backstop: if it deletes before pgBackRest does, sets break in the "
        "middle.",
        "S3 lifecycle configuration; pgBackRest, repo-retention-full-type",
        "Put backup.long_term.*_days in rising order.",
        _tiers,
    ),
    Rule(
        "lint.backup.prefixes",
        "repo1 and repo2 lie apart",
        "neither prefix lies in the other",
        "repo2's transitions would freeze what the live repository must read at once.",
        "S3 lifecycle filters match by prefix",
        "Give backup.prefix and backup.long_term_prefix different first folders.",
        _prefixes,
    ),
    Rule(
        "lint.backup.readable",
        "Info files and manifests stay readable at once",
        f"only files of {_LARGEST_SMALL_FILE} bytes and more change their storage class",
        "a frozen backup.info or manifest stops every pgBackRest command.",
        "S3 storage classes: Deep Archive answers InvalidObjectState",
        "Raise backup.long_term.transition_min_bytes (8 MiB is the default).",
        _small_files,
    ),
    Rule(
        "lint.backup.recovery-point",
        "The recovery point objective can be met",
        "archive_timeout and a push within objectives.recovery_point_seconds",
        "a commit is safe only when its WAL segment has left the host.",
        "PostgreSQL manual, archive_timeout",
        "Shorten backup.archive_timeout_seconds.",
        _recovery_point,
    ),
    Rule(
        "lint.backup.utc",
        "Calendars are in UTC",
        "every backup calendar ends in UTC",
        "in a zone with summer time a job runs twice or never in one night of the year.",
        "systemd.time(7)",
        "Write `UTC` at the end of backup.*_calendar.",
        _in_utc,
    ),
    Rule(
        "lint.backup.collisions",
        "No differential or long-term full is due in the minute of a full",
        "no common start",
        "all jobs share one queue: what is due with the full waits for it or is skipped.",
        "pgBackRest allows one backup per stanza at a time",
        "Leave the full's hour out of backup.diff_calendar; move backup.long_term.full_calendar.",
        _collisions,
    ),
    Rule(
        "lint.backup.restore-points",
        "There is more than one day to go back to",
        "2 fulls or more, reaching at least one day back",
        "PITR reaches back to the oldest full that is kept, and no further.",
        "pgBackRest, repo-retention-full and repo-retention-diff",
        "Raise backup.retention_full, or make fulls more rarely.",
        _restore_points,
    ),
)
