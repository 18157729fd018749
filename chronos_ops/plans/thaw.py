"""What a restore of one long-term set needs of repo2, and what thawing it takes (B2). Pure.

Restoring a full needs its files and manifest, the info files, and the WAL between its start and
its stop: `repo2-retention-archive=1` keeps no more of an older one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from chronos_ops.facts.backups import BackupSet, StanzaInfo
from chronos_ops.facts.s3 import StoredObject
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.monitoring import Prices
from chronos_ops.model.settings import Settings
from chronos_ops.model.wal import WalSegment
from chronos_ops.plans.cost_line import DAYS_MONTH, GB

REPO = 2
# Amazon S3 User Guide, archive retrieval options: "typically finish within", hours.
STATED_HOURS = {
    ("DEEP_ARCHIVE", "standard"): 12.0,
    ("DEEP_ARCHIVE", "bulk"): 48.0,
    ("GLACIER", "standard"): 5.0,
    ("GLACIER", "bulk"): 12.0,
}
_DAY = 86400.0


@dataclass(frozen=True)
class Needed:
    """The objects that a restore of `backup` reads, and what of them is not there."""

    backup: BackupSet
    info: tuple[StoredObject, ...]  # info files and manifests: never frozen by the lifecycle
    files: tuple[StoredObject, ...]  # of the set, and of sets that it refers to
    wal: tuple[StoredObject, ...]
    missing_wal: tuple[str, ...]
    incomplete: tuple[str, ...]  # in words: what of the set's own files is gone

    @property
    def objects(self) -> tuple[StoredObject, ...]:
        return (*self.info, *self.files, *self.wal)

    @property
    def frozen(self) -> list[StoredObject]:
        return [item for item in self.objects if not item.readable]

    def refreshed(self, objects: Sequence[StoredObject]) -> "Needed":
        """The same objects as they are now; one that is gone keeps its last state."""
        now = {item.key: item for item in objects}

        def newer(items: tuple[StoredObject, ...]) -> tuple[StoredObject, ...]:
            return tuple(now.get(item.key, item) for item in items)

        return replace(self, info=newer(self.info), files=newer(self.files), wal=newer(self.wal))


def choose(info: StanzaInfo, label: str, retention_days: int, until: float) -> BackupSet:
    """The set of that label, or the oldest full of repo2 that pgBackRest still keeps at `until`.

    Raises UsageError: there is none, no such set, or it expires before.
    """
    fulls = info.of_repo(REPO, "full")
    sets = {item.label: item for item in info.of_repo(REPO)}
    if not fulls:
        raise UsageError("repo2 holds no full backup", info.name, hint="the weekly job makes one")
    # By time: a full goes once a newer one is that old.
    ends = {old.label: new.stopped + retention_days * _DAY for old, new in pairwise(fulls)}
    kept = [item for item in fulls if ends.get(item.label, until) >= until]
    if not label:
        return kept[0]
    if label not in sets:
        elsewhere = [item.repo for item in info.backups if item.label == label]
        raise UsageError(
            "repo2 has no such backup set" if not elsewhere else "this set lies in repo1 alone",
            repr(label),
            hint=f"repo2 holds: {', '.join(sets)}",
        )
    base = label.partition("_")[0]
    if ends.get(base, until) < until:
        raise UsageError(
            "this set may be deleted by its retention while it thaws",
            f"{label}, {retention_days} days",
            hint=f"choose a later one: {', '.join(item.label for item in kept)}",
        )
    return sets[label]


def needed(
    settings: Settings,
    info: StanzaInfo,
    backup: BackupSet,
    objects: Sequence[StoredObject],
    segment_bytes: int,
) -> Needed:
    """Which objects of repo2 a restore of this set reads. `objects`: all below its prefix."""
    stanza = settings.backup.stanza
    prefix = settings.backup.long_term_prefix.strip("/")
    sets = {item.label: item for item in info.of_repo(REPO)}
    labels = (backup.label, *backup.references)
    control: list[StoredObject] = [i for i in objects if _is_info(i.key, prefix, stanza)]
    files: list[StoredObject] = []
    incomplete: list[str] = []
    for label in labels:
        below = f"{prefix}/backup/{stanza}/{label}/"
        mine = [item for item in objects if item.key.startswith(below)]
        manifests = [item for item in mine if _is_manifest(item.key)]
        own = [item for item in mine if not _is_manifest(item.key)]
        control += manifests
        files += own
        size = sum(item.size for item in own)
        if label not in sets or not manifests:
            incomplete.append(f"{label} has no {'manifest' if label in sets else 'entry any more'}")
        elif size < sets[label].repository_size:
            incomplete.append(f"{label} has {size} of {sets[label].repository_size} bytes")
    wal, missing = _wal(info, backup, objects, f"{prefix}/archive/{stanza}", segment_bytes)
    return Needed(
        backup, tuple(control), tuple(files), tuple(wal), tuple(missing), tuple(incomplete)
    )


def _is_info(key: str, prefix: str, stanza: str) -> bool:
    folder, _, name = key.rpartition("/")
    kinds = {f"{prefix}/archive/{stanza}": "archive", f"{prefix}/backup/{stanza}": "backup"}
    return name.removesuffix(".copy") == f"{kinds.get(folder)}.info"


def _is_manifest(key: str) -> bool:
    return key.rpartition("/")[2].removesuffix(".copy") == "backup.manifest"


def _wal(
    info: StanzaInfo,
    backup: BackupSet,
    objects: Sequence[StoredObject],
    folder: str,
    segment_bytes: int,
) -> tuple[list[StoredObject], list[str]]:
    """The segments from the set's start to its stop, and its timeline's history."""
    archive_id = info.archive_id(REPO, backup.database_id)
    first = WalSegment.parse(backup.wal_start, segment_bytes)
    last = WalSegment.parse(backup.wal_stop, segment_bytes)
    wanted = [str(replace(first, number=n)) for n in range(first.number, last.number + 1)]
    if archive_id is None:
        return [], wanted
    below = f"{folder}/{archive_id}/"
    by_name = {
        item.key.rpartition("/")[2].partition("-")[0]: item
        for item in objects
        if item.key.startswith(below)
    }
    found = [by_name[name] for name in wanted if name in by_name]
    history = by_name.get(f"{first.timeline:08X}.history")
    found += [history] if history else []
    return found, [name for name in wanted if name not in by_name]


# -- time and price


def stated_hours(frozen: Sequence[StoredObject], tier: str) -> float:
    """What S3 states for the slowest of them; 0: nothing is frozen."""
    known = [STATED_HOURS.get((item.storage_class, tier)) for item in frozen]
    return max((hours or STATED_HOURS["DEEP_ARCHIVE", tier] for hours in known), default=0.0)


def frozen_of(backup: BackupSet, objects: Sequence[StoredObject]) -> list[StoredObject]:
    """The objects of a set, and of those that it refers to, that cannot be read now."""
    below = tuple(f"/{label}/" for label in (backup.label, *backup.references))
    return [i for i in objects if not i.readable and any(name in i.key for name in below)]


def readable_when(backup: BackupSet, objects: Sequence[StoredObject]) -> str:
    """In words for the table of restore points."""
    cold = frozen_of(backup, objects)
    if not cold:
        return "at once"
    standard, bulk = (stated_hours(cold, tier) for tier in ("standard", "bulk"))
    state = "thawing" if all(item.thawing for item in cold) else "frozen"
    return f"{state}: {standard:g} h (bulk {bulk:g} h)"


def price(needed: Needed, prices: Prices, tier: str, days: int) -> list[dict[str, object]]:
    """What it costs in USD, line by line; the last line is the sum. Raises UsageError."""
    rates = {
        "DEEP_ARCHIVE": (prices.s3_deep_archive_thaw_gb, prices.s3_deep_archive_thaw_per_1000),
        "GLACIER": (prices.s3_glacier_thaw_gb, prices.s3_glacier_thaw_per_1000),
    }
    rows: list[dict[str, object]] = []
    total = 0.0
    for name in sorted({item.storage_class for item in needed.objects}):
        items = [item for item in needed.objects if item.storage_class == name]
        asked = [item for item in items if not item.readable and not item.thawing]
        size = sum(item.size for item in asked) / GB
        usd = sum(item.size for item in items) / GB * prices.s3_glacier_instant_read_gb
        if name != "GLACIER_IR":
            usd = 0.0
        if asked:
            if name not in rates:
                raise UsageError("no price is known for thawing", name)
            per_gb, per_1000 = rates[name]
            copies = size * prices.s3_standard_gb_month * days / DAYS_MONTH
            usd = size * per_gb[tier] + len(asked) / 1000 * per_1000[tier] + copies
        total += usd
        rows.append(
            {
                "storage class": name,
                "objects": len(items),
                "bytes": sum(item.size for item in items),
                "to thaw": len(asked),
                "USD": round(usd, 6),
            }
        )
    rows.append(
        {
            "storage class": f"all, prices of {prices.as_of}",
            "objects": len(needed.objects),
            "bytes": sum(item.size for item in needed.objects),
            "to thaw": len([i for i in needed.frozen if not i.thawing]),
            "USD": round(total, 6),
        }
    )
    return rows


# -- findings


def judge_info_readable(needed: Needed, limit: int) -> Finding:
    """Info files and manifests are not frozen: without them nobody knows what to thaw."""
    cold = [i for i in needed.info if i.storage_class in ("GLACIER", "DEEP_ARCHIVE")]
    shown = ", ".join(f"{i.key} ({i.storage_class}, {i.size / 2**20:.2f} MiB)" for i in cold[:3])
    return judge(
        "drill.thaw.info-readable",
        "info files and manifests of the long-term set are in a class that is read at once",
        passed=not cold if needed.info else None,
        observed=f"frozen: {shown}" if cold else f"{len(needed.info)} of them, none frozen",
        expected="none frozen: the lifecycle moves only what is larger than "
        f"{limit / 2**20:g} MiB below backup/",
        hint="raise backup.long_term.transition_min_bytes above the largest manifest, run the "
        "backup runbook, and copy these back to STANDARD once they are thawed",
        requirement="B2",
    )


def judge_set_complete(needed: Needed) -> Finding:
    """Every byte that pgBackRest stored of the set lies in the bucket."""
    size = sum(item.size for item in needed.files)
    return judge(
        "drill.thaw.set-complete",
        "every file of the long-term set is there",
        passed=not needed.incomplete,
        observed="; ".join(needed.incomplete) or f"{len(needed.files)} objects, {size} bytes",
        expected="a manifest, and as many bytes as pgBackRest stored",
        hint="partly expired: which lifecycle rule deletes below backup/? Choose another set; "
        "former versions are kept some days (aws s3api list-object-versions)",
        requirement="B2",
    )


def judge_wal_range(needed: Needed) -> Finding:
    """The WAL that makes the set consistent."""
    backup = needed.backup
    return judge(
        "drill.thaw.wal-range",
        "the WAL from the set's start to its stop is there",
        passed=not needed.missing_wal,
        observed=f"missing: {', '.join(needed.missing_wal[:5])}"
        if needed.missing_wal
        else f"{len(needed.wal)} objects",
        expected=f"{backup.wal_start} to {backup.wal_stop}",
        hint="without it the set never becomes consistent: choose another one; "
        "`repo2-retention-archive=1` keeps this range, so ask what deleted it",
        requirement="B2",
    )


def judge_thawed(needed: Needed, seconds: float, hours: float) -> Finding:
    """Every object that the restore reads can be read now."""
    cold = needed.frozen
    return judge(
        "drill.thaw.complete",
        "every object that the restore reads can be read now",
        passed=not cold,
        observed=f"{len(cold)} of {len(needed.objects)} still frozen"
        if cold
        else f"all {len(needed.objects)}, after {seconds:.0f} s of waiting",
        expected=f"all of them within the stated {hours:g} h"
        if hours
        else "all of them at once: none was frozen",
        requirement="B2",
    )
