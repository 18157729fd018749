"""What lies in a bucket and is paid for: every version by place, kind, class and size (M6)."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import AwsQuestion, Fact

FULL, DIFF, INCR, WAL, OTHER = "full", "diff", "incr", "wal", "other"
_SET = re.compile(r"/backup/[^/]+/(\d{8}-\d{6}F(?:_\d{8}-\d{6}([DI]))?)/")
_SEGMENT = re.compile(r"/archive/.*/[0-9A-F]{24}-")


@dataclass(frozen=True)
class Stored:
    """One version of an object. `current`: what a plain read gets."""

    key: str
    size: int
    storage_class: str
    current: bool


@dataclass(frozen=True)
class Page:
    """Up to 1000 versions, and where the next page begins (empty: it was the last)."""

    versions: tuple[Stored, ...]
    next: Mapping[str, str]


def page(bucket: str, start: Mapping[str, str] | None = None) -> Fact[Page]:
    """One page of a bucket's versions; an empty one, too, if there is no such bucket."""
    question = AwsQuestion(
        "s3",
        "list_object_versions",
        {"Bucket": bucket, **(start or {})},
        absent=("NoSuchBucket",),
    )
    return Fact("bucket_versions", question, _read)


def _read(answer: Any) -> Page:
    if answer is None:
        return Page((), {})
    try:
        versions = tuple(
            Stored(
                key=item["Key"],
                size=int(item["Size"]),
                storage_class=str(item.get("StorageClass") or "STANDARD"),
                current=bool(item["IsLatest"]),
            )
            for item in answer.get("Versions", ())
        )
        start = {}
        if answer.get("IsTruncated"):
            start = {"KeyMarker": answer["NextKeyMarker"]}
            if answer.get("NextVersionIdMarker"):
                start["VersionIdMarker"] = answer["NextVersionIdMarker"]
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer("not a list of object versions", error) from None
    return Page(versions, start)


@dataclass
class Sum:
    """Objects and bytes; `big_*`: of those that the lifecycle moves."""

    objects: int = 0
    size: int = 0
    big_objects: int = 0
    big_size: int = 0


@dataclass
class Usage:
    """Sums over a bucket, filled page by page: a bucket may hold more than fits in memory.

    `places`: names by prefix. `stored`: by place, storage class and whether current. `kinds`: by
    place and kind of file. `sets`: labels of backup sets by place and kind.
    """

    places: Mapping[str, str]
    big_from: int
    stored: dict[tuple[str, str, bool], Sum] = field(default_factory=lambda: defaultdict(Sum))
    kinds: dict[tuple[str, str], Sum] = field(default_factory=lambda: defaultdict(Sum))
    sets: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, found: Page) -> None:
        for each in found.versions:
            place = self._place(each.key)
            kind, label = kind_of(each.key)
            if label:
                self.sets[place, kind].add(label)
            big = each.size > self.big_from
            for total in (
                self.stored[place, each.storage_class, each.current],
                self.kinds[place, kind],
            ):
                total.objects += 1
                total.size += each.size
                total.big_objects += big
                total.big_size += each.size if big else 0

    def _place(self, key: str) -> str:
        for prefix, name in self.places.items():
            if key.startswith(prefix):
                return name
        return OTHER

    def one(self, place: str, kind: str) -> Sum:
        """The average backup set, or WAL segment; zeros where there is none yet."""
        total = self.kinds[place, kind]
        number = total.objects if kind == WAL else len(self.sets[place, kind])
        if not number:
            return Sum()
        return Sum(
            round(total.objects / number),
            round(total.size / number),
            round(total.big_objects / number),
            round(total.big_size / number),
        )


def kind_of(key: str) -> tuple[str, str]:
    """What a file of a repository is, and the backup set that it belongs to."""
    if found := _SET.search(f"/{key}"):
        return {None: FULL, "D": DIFF, "I": INCR}[found[2]], found[1]
    return (WAL if _SEGMENT.search(f"/{key}") else OTHER), ""
