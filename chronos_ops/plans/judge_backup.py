"""Are there backups that can be restored? Sets, ages, verification, info files, page errors."""

from collections.abc import Sequence

from chronos_ops.facts.backups import OK, StanzaInfo
from chronos_ops.facts.s3 import StoredObject
from chronos_ops.facts.verification import Verification
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.settings import Settings

HOUR = 3600
# Newest of a kind in a repository may be so old, in seconds; then its schedule has failed.
OLDEST = {(1, ""): 3 * HOUR, (1, "full"): 27 * HOUR, (2, "full"): 8 * 24 * HOUR}
_INFO_FILES = ("archive.info", "archive.info.copy", "backup.info", "backup.info.copy")


def repositories(settings: Settings) -> list[int]:
    """Numbers of the declared repositories."""
    return [1] if settings.backup.long_term is None else [1, 2]


def judge_repository(info: StanzaInfo | None, repo: int) -> Finding:
    """The repository can be read, and holds a base backup (WAL alone restores nothing)."""
    state = info.repository(repo) if info else None
    fulls = info.of_repo(repo, "full") if info else []
    message = "not configured" if state is None else state.message.strip().splitlines()[0]
    return judge(
        f"backup.repo{repo}.usable",
        f"repo{repo} can be read and holds a base backup",
        passed=state is not None and state.code == OK and bool(fulls),
        observed=f"{message}, {len(fulls)} full",
        expected="ok, at least 1 full",
        hint="`missing stanza data`: an info file was deleted, or another passphrase wrote it; "
        "403: the host's key; no backup: start chronos-backup-full.service",
        requirement="B5",
    )


def judge_ages(info: StanzaInfo, repo: int, now: float) -> list[Finding]:
    """The newest backups are as young as the schedule makes them. `now`: epoch seconds."""
    findings = []
    for (of_repo, kind), oldest in OLDEST.items():
        if of_repo != repo:
            continue
        sets = info.of_repo(repo, kind)
        age = now - sets[-1].stopped if sets else None
        what = kind or "backup"
        findings.append(
            judge(
                f"backup.repo{repo}.age-{what}",
                f"The newest {what} in repo{repo} is young enough",
                passed=age is not None and age <= oldest,
                observed="there is none" if age is None else f"{age / HOUR:.1f} h old",
                expected=f"at most {oldest / HOUR:.0f} h",
                hint="is the timer enabled, did the job fail or hang? "
                "systemctl list-timers 'chronos-backup-*'; journalctl -u 'chronos-backup-*'",
                requirement="B6",
            )
        )
    return findings


def judge_page_errors(info: StanzaInfo, *, data_checksums: bool) -> Finding:
    """Page corruption is backed up with a warning only: `info` alone remembers it."""
    identifier, title = "backup.page-errors", "No backup holds corrupt pages"
    if not data_checksums:
        return Finding(
            id=identifier,
            status=Status.NOT_APPLICABLE,
            title=title,
            observed="the cluster has no data checksums: no backup can tell",
            expected="no page errors",
            hint="pg_checksums --enable needs a stop of the server, some minutes per 10 GB",
            requirement="B9",
        )
    wrong = [b.label for b in info.backups if b.page_errors]
    unknown = [b.label for b in info.backups if b.page_errors is None]
    return judge(
        identifier,
        title,
        passed=False if wrong else None if unknown or not info.backups else True,
        observed=f"page errors in {', '.join(wrong)}"
        if wrong
        else f"{len(info.backups)} backups, none with an error"
        if not unknown
        else f"not told for {', '.join(unknown)}",
        expected="no page errors",
        hint="pgbackrest info --set=LABEL names the file; restore that table from a backup before "
        "the corruption and look after the disk",
        requirement="B9",
    )


def judge_verification(found: Verification, repo: int) -> Finding:
    """Every file and segment was read again and is what it was (`verify` exits 0 on errors)."""
    whole = (
        found.status == "ok"
        and not found.complaints
        and found.files_checked == found.files_valid > 0
        and found.wal_checked == found.wal_valid > 0
        and all(status == "valid" for _, status in found.backups)
    )
    return judge(
        f"backup.repo{repo}.verified",
        f"repo{repo} was read again, and every file of it is whole",
        passed=whole,
        observed=f"status {found.status}: {found.files_valid} of {found.files_checked} files, "
        f"{found.wal_valid} of {found.wal_checked} WAL segments"
        + "".join(f"; {line}" for line in found.complaints[:5]),
        expected="status ok, all of them valid",
        hint="the former version of a damaged object is in the bucket; take a full backup now",
        requirement="B9",
    )


def frozen(objects: Sequence[StoredObject]) -> list[StoredObject]:
    """Objects that answer InvalidObjectState until they are thawed."""
    return [item for item in objects if not item.readable]


def judge_storage(settings: Settings, repo: int, objects: Sequence[StoredObject]) -> list[Finding]:
    """Info files are there, in the classes that can be read at once; manifests stay small (B2)."""
    backup = settings.backup
    prefix = (backup.prefix if repo == 1 else backup.long_term_prefix).strip("/")
    names = {item.key for item in objects}
    stanza = backup.stanza
    absent = [
        name
        for name in _INFO_FILES
        if f"{prefix}/{name.split('.')[0]}/{stanza}/{name}" not in names
    ]
    cold = [item for item in frozen(objects) if repo == 1 or not _may_freeze(item, prefix)]
    shown = ", ".join(f"{item.key} ({item.storage_class})" for item in cold[:3])
    findings = [
        judge(
            f"backup.repo{repo}.info-files",
            f"repo{repo}'s info files are there",
            passed=not absent,
            observed=f"missing: {', '.join(absent)}" if absent else "all four",
            expected="archive.info and backup.info, each with its copy",
            hint="without them the whole repository cannot be read: bring the deleted version back "
            "(aws s3api list-object-versions), and look which lifecycle rule took it",
            requirement="B2",
        ),
        judge(
            f"backup.repo{repo}.storage-class",
            f"What repo{repo} needs at once can be read at once",
            passed=not cold if objects else None,
            observed="no object is there"
            if not objects
            else f"{len(cold)} objects frozen: {shown}"
            if cold
            else f"{len(objects)} objects, {len(frozen(objects))} frozen by design",
            expected="info files, manifests and WAL in STANDARD or GLACIER_IR"
            + (", nothing frozen at all" if repo == 1 else ""),
            hint="a lifecycle rule not of ours moved them: remove it, restore the objects "
            "(12 to 48 hours), copy them back to STANDARD",
            requirement="B2",
        ),
    ]
    if repo == 2 and backup.long_term is not None:
        findings.append(_judge_manifests(objects, backup.long_term.transition_min_bytes))
    return findings


def _may_freeze(item: StoredObject, prefix: str) -> bool:
    return item.key.startswith(f"{prefix}/backup/") and not _is_manifest_or_info(item.key)


def _is_manifest_or_info(key: str) -> bool:
    name = key.rpartition("/")[2]
    return ".manifest" in name or name.startswith(("backup.info", "archive.info"))


def _judge_manifests(objects: Sequence[StoredObject], limit: int) -> Finding:
    sizes = [item.size for item in objects if ".manifest" in item.key.rpartition("/")[2]]
    largest = max(sizes, default=0)
    seen = f"largest {largest / 2**20:.2f} MiB" if sizes else "no manifest is there"
    return judge(
        "backup.repo2.manifest-size",
        "No manifest is big enough to be moved by the lifecycle",
        passed=largest < limit if sizes else None,
        observed=seen,
        expected=f"less than {limit / 2**20:.0f} MiB",
        hint="raise backup.long_term.transition_min_bytes: a manifest grows with the files' number",
        requirement="B2",
    )
