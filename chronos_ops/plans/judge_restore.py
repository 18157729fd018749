"""Could it be restored right now? One repository's objects, WAL, key and passphrase. Pure."""

from collections.abc import Iterable, Sequence

from chronos_ops.facts.s3 import StoredObject
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.wal import WalSegment
from chronos_ops.plans.restore_needs import Holdings, sample_checksums

_BLOCK = 16  # bytes: what AES encrypts is a multiple of it
_VERSIONS = (
    "bring its version back: aws s3api list-object-versions --bucket BUCKET --prefix KEY, then "
    "delete the delete marker, or copy the right VersionId over it"
)


def judge_repository(holdings: Holdings) -> list[Finding]:
    """All that a restore from this repository needs, each kind of harm by its own name."""
    return [
        judge_info_files(holdings),
        judge_manifests(holdings),
        judge_references(holdings),
        judge_objects(holdings),
        judge_sizes(holdings),
        judge_readable(holdings),
        judge_wal(holdings),
        judge_key(holdings),
        judge_passphrase(holdings),
    ]


def judge_without_sets(holdings: Holdings) -> list[Finding]:
    """Nothing is seen that could be restored: because none was taken, or none can be seen."""
    none = judge(
        f"restore.repo{holdings.repo}.set",
        f"repo{holdings.repo} holds a backup set to restore",
        passed=False,
        observed="none that a restore could begin with",
        expected="at least one, from before the recovery target",
        hint="if key, passphrase and info files are good, none was taken: systemctl start "
        "chronos-backup-full.service (repo2: chronos-backup-long-term.service)",
        requirement="D2",
    )
    rest = (judge_info_files, judge_key, judge_passphrase)
    return [none, *(each(holdings) for each in rest)]


def _some(items: Iterable[object], most: int = 3) -> str:
    texts = [str(item) for item in items]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def judge_info_files(holdings: Holdings) -> Finding:
    """pgBackRest reads the copy where the file is gone: until the copy is gone too."""
    wanted = [f"{kind}/{holdings.stanza}/{kind}.info" for kind in ("archive", "backup")]
    wanted += [f"{path}.copy" for path in wanted]
    gone = [p for p in wanted if p not in holdings.objects or not holdings.objects[p].size]
    return judge(
        f"restore.repo{holdings.repo}.info-files",
        f"repo{holdings.repo}'s info files are there",
        passed=not gone,
        observed=f"missing or empty: {_some(gone, 4)}" if gone else "all four",
        expected="archive.info and backup.info, each with its copy",
        hint="without them no set and no segment is found; a missing one is read from its copy, so "
        f"copy that over it, or {_VERSIONS}. Never stanza-create over it",
        requirement="B2",
    )


def judge_manifests(holdings: Holdings) -> Finding:
    """Each set's list of files: there, readable with this key and this passphrase."""
    bad = []
    for label in holdings.labels:
        path = holdings.manifest_path(label)
        if path not in holdings.objects:
            copy = f"{path}.copy" in holdings.objects
            bad.append(f"{label}: " + ("only backup.manifest.copy is left" if copy else "missing"))
        elif label in holdings.manifests.failed:
            bad.append(f"{label}: {holdings.manifests.failed[label][:160]}")
        elif label not in holdings.manifests.read:
            bad.append(f"{label}: not read")
    files = sum(manifest.files for manifest in holdings.manifests.read.values())
    return judge(
        f"restore.repo{holdings.repo}.manifests",
        f"The manifests of repo{holdings.repo}'s sets are there and can be read",
        passed=not bad,
        observed=_some(bad) if bad else f"{len(holdings.labels)} manifests, {files} files",
        expected="backup.manifest of every set, and of every set that it references",
        hint="without its manifest a set is forgotten by the next backup or expire; the copy is "
        f"the same file: copy it over backup.manifest, or {_VERSIONS}",
        requirement="B2",
    )


def judge_references(holdings: Holdings) -> Finding:
    """A differential is worth nothing without its full."""
    gone, read = [], len(holdings.manifests.read)
    for label, manifest in holdings.manifests.read.items():
        for other in manifest.references:
            folder = f"backup/{holdings.stanza}/{other}/"
            if not any(path.startswith(folder) for path in holdings.objects):
                gone.append(f"{label} needs {other}, of which nothing is left")
    return judge(
        f"restore.repo{holdings.repo}.references",
        f"Every set that a set of repo{holdings.repo} builds upon is there",
        passed=False if gone else True if read == len(holdings.labels) else None,
        observed=_some(gone) if gone else f"{read} of {len(holdings.labels)} manifests were read",
        expected="all that the manifests refer to",
        hint="the set cannot be restored without it: take a full backup now; then "
        f"{_VERSIONS} for every object of the lost set",
        requirement="B2",
    )


def judge_objects(holdings: Holdings) -> Finding:
    """Every object that the manifests name."""
    needs = holdings.needs
    gone = [need.path for need in needs if need.path not in holdings.objects]
    return judge(
        f"restore.repo{holdings.repo}.objects",
        f"Every object that a restore from repo{holdings.repo} fetches is there",
        passed=not gone if needs else None,
        observed=f"missing: {_some(gone)}" if gone else f"{len(needs)} objects",
        expected="all that the manifests name",
        hint=f"take a full backup now; then {_VERSIONS}",
        requirement="B9",
    )


def judge_sizes(holdings: Holdings) -> Finding:
    """To the byte, as the set's own manifest knows it; WAL that is encrypted, by its blocks."""
    wrong = []
    needs = [need for need in holdings.needs if need.path in holdings.objects]
    for need in needs:
        size = holdings.objects[need.path].size
        if size != need.size if need.exact else size < need.size:
            least = "" if need.exact else "at least "
            wrong.append(f"{need.path}: {size} bytes instead of {least}{need.size}")
    stored = holdings.stored
    wal, _ = holdings.wal
    for segment in wal:
        for path in stored.get(str(segment), ()):
            size = holdings.objects[path].size
            if size == 0 or (holdings.encrypted and size % _BLOCK):
                wrong.append(f"{path}: {size} bytes is no whole segment")
    return judge(
        f"restore.repo{holdings.repo}.sizes",
        f"What a restore from repo{holdings.repo} fetches has the right size",
        passed=not wrong if needs else None,
        observed=_some(wrong) if wrong else f"{len(needs)} objects, {len(wal)} WAL segments",
        expected="the sizes that the manifests know",
        hint="it was cut short or written over after the backup: take a full backup now; then "
        f"{_VERSIONS}",
        requirement="B9",
    )


def _fetched(holdings: Holdings) -> list[tuple[str, StoredObject]]:
    """Everything that a restore reads and that is there."""
    paths = [need.path for need in holdings.needs]
    paths += [holdings.manifest_path(label) for label in holdings.labels]
    paths += [f"{kind}/{holdings.stanza}/{kind}.info" for kind in ("archive", "backup")]
    stored = holdings.stored
    paths += [path for segment in holdings.wal[0] for path in stored.get(str(segment), ())]
    return [(path, holdings.objects[path]) for path in paths if path in holdings.objects]


def judge_readable(holdings: Holdings) -> Finding:
    """The storage class says whether a read is answered now or in 48 hours."""
    fetched = _fetched(holdings)
    cold = [f"{path} ({item.storage_class})" for path, item in fetched if not item.readable]
    thawing = any(item.thawing for _, item in fetched)
    older = ""
    if holdings.frozen_sets:
        older = f"; {len(holdings.frozen_sets)} older sets are frozen by design: they need a thaw"
    return judge(
        f"restore.repo{holdings.repo}.readable-now",
        f"What a restore from repo{holdings.repo} fetches can be read at once",
        passed=not cold if fetched else None,
        observed=(f"{len(cold)} objects need a thaw: {_some(cold)}" if cold else
                  f"{len(fetched)} objects") + older,
        expected="STANDARD or GLACIER_IR, or a thawed copy",
        hint="the thaw is under way: wait for it (12 to 48 hours)"
        if thawing
        else "thaw them (aws s3api restore-object, 12 to 48 hours), and look in the bucket's "
        "lifecycle for the rule that froze them; until then restore from another repository or set",
        requirement="B2",
    )  # fmt: skip


def judge_wal(holdings: Holdings) -> Finding:
    """Without a gap from each set's start to the target, over every change of timeline."""
    wal, lacking = holdings.wal
    stored = holdings.stored
    gone = [segment for segment in wal if str(segment) not in stored]
    twice = [str(s) for s in wal if len(stored.get(str(s), ())) > 1]
    wrong = [f"{name} is not archived" for name in lacking]
    wrong += [f"{_runs(gone)} missing"] if gone else []
    wrong += [f"stored twice: {_some(twice)}"] if twice else []
    newest = f", up to {wal[-1]}" if wal else ""
    return judge(
        f"restore.repo{holdings.repo}.wal",
        f"The WAL that a restore from repo{holdings.repo} replays is there without a gap",
        passed=not wrong if wal else None,
        observed="; ".join(wrong) if wrong else f"{len(wal)} segments{newest}",
        expected="every segment from the start of each set to the target, and the histories of "
        "the timelines in between",
        hint="recovery ends at the first gap: take a full backup now, restores begin behind it "
        f"then; a deleted segment or history: {_VERSIONS}",
        requirement="B3",
    )


def _runs(missing: Sequence[WalSegment]) -> str:
    shown = _some(missing)
    return f"{len(missing)} segments ({shown})" if len(missing) > 1 else shown


def judge_key(holdings: Holdings) -> Finding:
    """Read by the key that the restore would use, one object of each kind and set."""
    bad = []
    sums = sample_checksums(holdings)
    for seen in holdings.reads:
        if seen.exit_code != 0 and not seen.undecipherable:
            bad.append(f"{seen.path}: exit code {seen.exit_code}, {seen.said[:160]}")
        elif sums.get(seen.path) not in (None, "", seen.sha1):
            bad.append(f"{seen.path}: other bytes than the backup wrote")
    bad += [
        f"manifest of {label}: {said[:160]}"
        for label, said in holdings.manifests.failed.items()
        if "403" in said or "AccessDenied" in said
    ]
    denied = any(seen.denied for seen in holdings.reads) or any("403" in text for text in bad)
    return judge(
        f"restore.repo{holdings.repo}.key",
        f"The key on this host reads repo{holdings.repo}, and gets what was written",
        passed=not bad if holdings.reads else None,
        observed=_some(bad, 2) if bad else f"{len(holdings.reads)} objects read",
        expected="info files, an object of every set and the ends of the WAL are read",
        hint="the key is revoked, wrong or too narrow: stages `host-identity` and "
        "`pgbackrest-config` of the backup runbook"
        if denied
        else "an object that cannot be read: see the findings about objects and sizes; bytes that "
        "differ: take a full backup now",
        requirement="B4",
    )


def judge_passphrase(holdings: Holdings) -> Finding:
    """Opened by the passphrase that the restore would use."""
    identifier = f"restore.repo{holdings.repo}.passphrase"
    title = f"The passphrase on this host opens repo{holdings.repo}"
    opened = [s for s in holdings.reads if s.ok and s.path not in sample_checksums(holdings)]
    closed = [seen.path for seen in holdings.reads if seen.undecipherable]
    closed += [
        f"manifest of {label}"
        for label, said in holdings.manifests.failed.items()
        if any(word in said for word in ("[095]", "FormatError", "cipher"))
    ]
    if opened and holdings.manifests.read and not closed and not holdings.encrypted:
        return Finding(
            id=identifier,
            status=Status.NOT_APPLICABLE,
            title=title,
            observed="the repository is not encrypted",
            expected="nothing to open",
            requirement="B4",
        )
    return judge(
        identifier,
        title,
        passed=False if closed else True if opened and holdings.manifests.read else None,
        observed=f"not opened: {_some(closed)}"
        if closed
        else f"{len(opened)} objects and {len(holdings.manifests.read)} manifests opened",
        expected="info files, manifests and both ends of the WAL are decrypted",
        hint="another passphrase than the one that they were written with: put the right one into "
        "the secret store (offline copy), then stage `pgbackrest-config`; if it is the right one, "
        "the object is damaged",
        requirement="B4",
    )
