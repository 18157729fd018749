"""What a restore needs of a repository: objects and WAL, by manifests and histories. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from chronos_ops.facts.backups import BackupSet
from chronos_ops.facts.manifest import Manifest, Manifests
from chronos_ops.facts.repository_reads import Seen, Wanted
from chronos_ops.facts.s3 import StoredObject
from chronos_ops.facts.wal_archive import History
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.wal import DEFAULT_SEGMENT_BYTES, Lsn, WalSegment

_SEGMENT = re.compile(r"/[0-9A-F]{16}/([0-9A-F]{24})-[0-9a-f]{40}(\.\w+)?$")
_HISTORY = re.compile(r"/([0-9A-F]{8})\.history$")


@dataclass(frozen=True)
class Holdings:
    """One repository as it lies there now, and the sets that would be restored from it."""

    repo: int
    stanza: str
    archive_id: str  # "17-1"
    objects: Mapping[str, StoredObject]  # by path relative to the repository
    sets: Sequence[BackupSet]  # to be judged, each with all that it references
    manifests: Manifests = field(default_factory=Manifests)
    histories: Mapping[int, History] = field(default_factory=dict)
    reads: Sequence[Seen] = ()
    target: RecoveryTarget = field(default_factory=RecoveryTarget)
    segment_bytes: int = DEFAULT_SEGMENT_BYTES
    frozen_sets: Sequence[str] = ()  # older ones that need a thaw first

    @property
    def labels(self) -> list[str]:
        return labels(self.sets)

    @cached_property
    def needs(self) -> "list[Need]":
        return needed_objects(self)

    @cached_property
    def wal(self) -> tuple[list[WalSegment], list[str]]:
        return needed_wal(self)

    @cached_property
    def stored(self) -> dict[str, list[str]]:
        """Paths of each archived segment."""
        return segments(self)

    def manifest_path(self, label: str) -> str:
        return f"backup/{self.stanza}/{label}/backup.manifest"

    @property
    def encrypted(self) -> bool:
        return any(manifest.encrypted for manifest in self.manifests.read.values())


def labels(sets: Iterable[BackupSet]) -> list[str]:
    """The sets and all that they reference, oldest first."""
    return sorted({label for item in sets for label in (*item.references, item.label)})


@dataclass(frozen=True)
class Need:
    """An object that must be there. `exact`: of just that size, else of at least that one."""

    path: str
    size: int
    exact: bool


def needed_objects(holdings: Holdings) -> list[Need]:
    """Every object of the sets; of a set whose own manifest is gone, what the others name."""
    found: dict[str, Need] = {}
    for label, manifest in holdings.manifests.read.items():
        for name, stored in manifest.objects.items():
            path = f"backup/{holdings.stanza}/{name}"
            own = name.startswith(f"{label}/")
            if own or path not in found:
                found[path] = Need(path, stored.size, own)
    return [found[path] for path in sorted(found)]


def needed_reads(holdings: Holdings) -> list[Wanted]:
    """What is read to try key and passphrase: info files, an object of each set, the ends of the
    WAL. Objects are cut to one file whose checksum the manifest knows."""
    stanza = holdings.stanza
    found = [
        Wanted(f"backup/{stanza}/backup.info"),
        Wanted(f"archive/{stanza}/archive.info"),
    ]
    for manifest in holdings.manifests.read.values():
        if sample := _sample(manifest):
            name, offset, size = sample
            found.append(Wanted(f"backup/{stanza}/{name}", offset, size))
    there = [str(segment) for segment in holdings.wal[0] if str(segment) in holdings.stored]
    found += [Wanted(holdings.stored[name][0]) for name in dict.fromkeys(there[:1] + there[-1:])]
    return found


def _sample(manifest: Manifest) -> tuple[str, int, int] | None:
    """The smallest object of the set itself, and the file in it that is the quickest to read."""
    own = {n: o for n, o in manifest.objects.items() if n.startswith(f"{manifest.label}/")}
    if not own:
        return None
    name = min(own, key=lambda each: own[each].size)
    part = own[name].smallest
    return None if part is None else (name, part.offset, part.size)


def sample_checksums(holdings: Holdings) -> dict[str, str]:
    """What the manifests say of the stretches that `needed_reads` reads; "" where they do not."""
    found = {}
    for manifest in holdings.manifests.read.values():
        if sample := _sample(manifest):
            part = manifest.objects[sample[0]].smallest
            found[f"backup/{holdings.stanza}/{sample[0]}"] = part.sha1 if part else ""
    return found


# -- WAL


def segments(holdings: Holdings) -> dict[str, list[str]]:
    """Paths of each archived segment: more than one is a segment stored twice, and differing."""
    found: dict[str, list[str]] = {}
    begin = f"archive/{holdings.stanza}/{holdings.archive_id}/"
    for path in holdings.objects:
        if path.startswith(begin) and (match := _SEGMENT.search(path)):
            found.setdefault(match[1], []).append(path)
    return found


def archived_histories(holdings: Holdings) -> set[int]:
    """Timelines whose history file is archived."""
    begin = f"archive/{holdings.stanza}/{holdings.archive_id}/"
    paths = (path for path in holdings.objects if path.startswith(begin))
    return {int(match[1], 16) for path in paths if (match := _HISTORY.search(path))}


def followed(holdings: Holdings) -> int:
    """The timeline that recovery follows: the target's, else the latest that is archived."""
    if holdings.target.timeline.isdigit():
        return int(holdings.target.timeline)
    if holdings.target.timeline == "current" or holdings.target.kind == "immediate":
        return 0
    there = {int(name[:8], 16) for name in holdings.stored}
    return max(there, default=0)


def needed_wal(holdings: Holdings) -> tuple[list[WalSegment], list[str]]:
    """Every segment from each set's start to the target, on the timeline where recovery reads it.

    Beside it, the names of history files that are missing. Of a set from which no archived history
    leads on, its own WAL alone.
    """
    wanted: dict[str, WalSegment] = {}
    lacking: set[str] = set()
    there = archived_histories(holdings)
    for item in holdings.sets:
        if not item.wal_start:
            continue
        first = WalSegment.parse(item.wal_start, holdings.segment_bytes)
        last = WalSegment.parse(item.wal_stop, holdings.segment_bytes).number
        timeline = followed(holdings) or first.timeline
        if timeline > first.timeline and timeline not in there:
            lacking.add(f"{timeline:08X}.history")
        route = _route(first.timeline, timeline, holdings)
        end = max(last, _end(holdings, route) if route else last)
        for number in range(first.number, end + 1):
            where = _timeline_at(number, route, holdings.segment_bytes) or first.timeline
            segment = WalSegment(where, number, holdings.segment_bytes)
            wanted[str(segment)] = segment
    ordered = sorted(wanted.values(), key=lambda each: (each.number, each.timeline))
    return ordered, sorted(lacking)


Route = list[tuple[int, Lsn]]  # timelines, and where each begins


def _route(own: int, timeline: int, holdings: Holdings) -> Route:
    """From a set's timeline to the one that is followed; empty: none leads there."""
    if timeline == own:
        return [(own, Lsn(0))]
    route: Route = []
    begins = Lsn(0)
    for ancestor, left in holdings.histories.get(timeline, ()):
        route.append((ancestor, begins))
        begins = left
    route.append((timeline, begins))
    reached = [each for each, _ in route]
    return route[reached.index(own) :] if own in reached else []


def _timeline_at(number: int, route: Route, segment_bytes: int) -> int | None:
    """A segment in which timelines change is read from the newer one."""
    begun = [each for each, at in route if at.position // segment_bytes <= number]
    return begun[-1] if begun else None


def _end(holdings: Holdings, route: Route) -> int:
    """The number of the last segment that recovery asks for and that can be known."""
    target, size = holdings.target, holdings.segment_bytes
    lines = dict(route)
    there = [name for name in holdings.stored if int(name[:8], 16) in lines]
    on_route = [WalSegment.parse(name, size) for name in there]
    mine = sorted(s.number for s in on_route if _timeline_at(s.number, route, size) == s.timeline)
    newest = mine[-1] if mine else 0
    if target.kind == "immediate":
        return 0
    if target.lsn is not None:
        return target.lsn.position // size
    if target.moment is not None:
        return _until(holdings, on_route, target.moment, newest)
    return newest


def _until(
    holdings: Holdings, on_route: Sequence[WalSegment], moment: datetime, newest: int
) -> int:
    """What was archived after the moment first holds it; later segments are not asked for."""
    for segment in sorted(on_route, key=lambda each: each.number):
        at = holdings.objects[holdings.stored[str(segment)][0]].stored_at
        if at is not None and at >= moment:
            return segment.number
    return newest
