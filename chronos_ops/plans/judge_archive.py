"""Is the WAL really in the repositories? Judged from the repository, never from the archiver."""

from collections.abc import Iterable, Sequence

from chronos_ops.facts.backups import BackupSet, StanzaInfo
from chronos_ops.facts.postgres import Setting
from chronos_ops.facts.wal_archive import Archive, ArchiveListing, Archiver
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.wal import DEFAULT_SEGMENT_BYTES, WalSegment
from chronos_ops.plans.archiving import archives_to

_ON = ("on", "always", "true", "yes", "1")
MOST_READY = 8  # segments that may wait: more is a backlog, however old (an idle server has none)


def judge_command(settings: dict[str, Setting], stanza: str) -> Finding:
    """The command in effect pushes to this stanza: `/bin/true` succeeds and stores nothing."""
    mode, command = settings["archive_mode"], settings["archive_command"].value
    written = str(mode.written).lower()
    waits = mode.pending_restart and written not in _ON  # good until the next restart
    return judge(
        "backup.archive.command",
        "PostgreSQL hands its WAL to pgBackRest",
        passed=mode.value in _ON and not waits and archives_to(command) == stanza,
        observed=f"archive_mode {mode.value}"
        + (f" ({written} after the next restart: {mode.written_in})" if waits else "")
        + f", archive_command {command!r}",
        expected=f"archive_mode on, archive-push to stanza {stanza}",
        hint="whatever else it runs, no WAL reaches the repositories: run this runbook's stage "
        "`wal-archiving`, then take a full backup",
        requirement="B3",
    )


def judge_arrival(repo: int, segment: str, seconds: float | None, deadline: float) -> Finding:
    """A segment that was just switched is seen in the repository (`seconds` None: it is not)."""
    return judge(
        f"backup.archive.reaches-repo{repo}",
        f"A segment that was just closed arrives in repo{repo}",
        passed=seconds is not None,
        observed=f"{segment} seen there after {seconds:.1f} s"
        if seconds is not None
        else f"{segment} is not there after {deadline:.0f} s",
        expected=f"there within {deadline:.0f} s",
        hint="the archiver may say it succeeded and nothing be stored: look at archive_command, "
        "at /var/log/pgbackrest/*archive-push-async.log and at the host's key",
        requirement="B3",
    )


def judge_backlog(archiver: Archiver) -> Finding:
    """Segments pile up, or the last attempt failed: pg_wal fills until the disk is full."""
    failing = bool(archiver.last_failed_at) and (
        archiver.last_archived_at is None
        or str(archiver.last_failed_at) > str(archiver.last_archived_at)
    )
    observed = f"{archiver.ready} segments wait, pg_wal holds {archiver.wal_bytes / 2**20:.0f} MiB"
    if archiver.ready:
        observed += f", the oldest for {archiver.oldest_ready_seconds:.0f} s"
    if failing:
        observed += f"; the last attempt failed ({archiver.last_failed})"
    return judge(
        "backup.archive.backlog",
        "No WAL waits to be archived",
        passed=archiver.ready <= MOST_READY and not failing,
        observed=observed,
        expected=f"at most {MOST_READY} waiting, no attempt failing",
        hint="read /var/log/pgbackrest/*archive-push-async.log: a revoked key, a bucket policy, a "
        "full disk, or one repository out of reach (WAL goes to all of them)",
        requirement="B2",
    )


def missing_segments(
    archive: Archive, ranges: Iterable[tuple[WalSegment, WalSegment]]
) -> list[WalSegment]:
    """Segments that a range needs and the archive lacks, of whatever timeline."""
    have = {segment.number for segment in archive.segments}
    found: dict[int, WalSegment] = {}
    for first, last in ranges:
        for number in range(first.number, last.number + 1):
            if number not in have:
                found[number] = WalSegment(first.timeline, number, first.segment_bytes)
    return [found[number] for number in sorted(found)]


def judge_continuity(
    info: StanzaInfo,
    repo: int,
    listing: ArchiveListing,
    *,
    all_the_way: bool,
    segment_bytes: int = DEFAULT_SEGMENT_BYTES,
) -> Finding:
    """No segment is missing. `pgbackrest verify` does not see such a hole.

    `all_the_way`: from the oldest backup on (repo1); else each backup's own range, and from the
    newest full on (repo2, where `retention-archive=1` expires what lies between).
    """
    identifier, title = f"backup.archive.continuous-repo{repo}", f"repo{repo}'s WAL has no hole"
    expected = "every segment from the oldest backup on"
    if not all_the_way:
        expected = "every segment of each backup, and from the newest full on"
    archive = listing.archives.get(info.archive_id(repo) or "", Archive())
    backups = _of_current_cluster(info.of_repo(repo))
    if not backups or not archive.segments:
        return judge(
            identifier,
            title,
            passed=False,
            observed=f"{len(backups)} backups, {len(archive.segments)} segments",
            expected=expected,
            hint="WAL without a base backup restores nothing, nor the other way round",
            requirement="B3",
        )
    newest = max(archive.segments, key=lambda s: (s.number, s.timeline))
    ranges = [
        (WalSegment.parse(b.wal_start, segment_bytes), WalSegment.parse(b.wal_stop, segment_bytes))
        for b in backups
    ]
    since = backups[0] if all_the_way else _newest_full(backups)
    ranges.append((WalSegment.parse(since.wal_start, segment_bytes), newest))
    missing = missing_segments(archive, ranges)
    shown = ", ".join(str(segment) for segment in missing[:5])
    return judge(
        identifier,
        title,
        passed=not missing,
        observed=f"{len(archive.segments)} segments up to {newest}"
        + (f"; {len(missing)} missing: {shown}" if missing else ""),
        expected=expected,
        hint="no recovery goes past the hole: take a full backup now; a deleted object comes back "
        "from the bucket's versions",
        requirement="B3",
    )


def _of_current_cluster(backups: Sequence[BackupSet]) -> list[BackupSet]:
    current = max((b.database_id for b in backups), default=0)
    return [b for b in backups if b.database_id == current]


def _newest_full(backups: Sequence[BackupSet]) -> BackupSet:
    fulls = [b for b in backups if b.kind == "full"]
    return fulls[-1] if fulls else backups[0]


def judge_recovery_point(
    archive_timeout: float, push_seconds: float | None, objective: float
) -> Finding:
    """RPO arithmetic (B8): a closed segment is lost only as long as it is on its way.

    `archive_timeout` in effect, in seconds; 0: an open segment is never closed by time.
    """
    bound = None if push_seconds is None else archive_timeout + push_seconds
    return judge(
        "backup.objective.recovery-point",
        "The recovery point objective holds by arithmetic",
        passed=False if not archive_timeout else None if bound is None else bound < objective,
        observed="archive_timeout 0: an idle database keeps its last commits in an open segment"
        if not archive_timeout
        else "the time of a push is not known"
        if bound is None
        else f"archive_timeout {archive_timeout:.0f} s + push {push_seconds:.1f} s = {bound:.1f} s",
        expected=f"less than {objective:.0f} s",
        hint="shorten backup.archive_timeout_seconds; what is in effect is set in one of "
        "PostgreSQL's files (pg_settings.sourcefile; ALTER SYSTEM RESET archive_timeout)",
        requirement="B8",
    )
