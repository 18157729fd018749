"""WAL arithmetic: LSN, segment names, timelines (PostgreSQL manual, "WAL Internals")."""

import re
from dataclasses import dataclass
from functools import total_ordering

_LSN = re.compile(r"^([0-9A-F]{1,8})/([0-9A-F]{1,8})$", re.IGNORECASE)
_SEGMENT = re.compile(r"^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$")
DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024


@total_ordering
@dataclass(frozen=True)
class Lsn:
    """A position in the WAL, in bytes. Raises ValueError on text that is not an LSN."""

    position: int

    @classmethod
    def parse(cls, text: str) -> "Lsn":
        match = _LSN.match(text.strip())
        if match is None:
            raise ValueError(f"not an LSN: {text!r} (expected e.g. 0/3000060)")
        return cls((int(match[1], 16) << 32) | int(match[2], 16))

    def __str__(self) -> str:
        return f"{self.position >> 32:X}/{self.position & 0xFFFFFFFF:X}"

    def __lt__(self, other: "Lsn") -> bool:
        return self.position < other.position

    def __sub__(self, other: "Lsn") -> int:
        return self.position - other.position


@total_ordering
@dataclass(frozen=True)
class WalSegment:
    """A WAL segment file. Comparing across timelines is refused (TypeError)."""

    timeline: int
    number: int  # position // segment_bytes
    segment_bytes: int = DEFAULT_SEGMENT_BYTES

    @classmethod
    def parse(cls, name: str, segment_bytes: int = DEFAULT_SEGMENT_BYTES) -> "WalSegment":
        match = _SEGMENT.match(name.strip()[:24].upper())
        if match is None:
            raise ValueError(f"not a WAL segment name: {name!r} (expected 24 hexadecimal digits)")
        per_log = 0x100000000 // segment_bytes
        number = int(match[2], 16) * per_log + int(match[3], 16)
        return cls(int(match[1], 16), number, segment_bytes)

    @classmethod
    def containing(
        cls, lsn: Lsn, timeline: int, segment_bytes: int = DEFAULT_SEGMENT_BYTES
    ) -> "WalSegment":
        return cls(timeline, lsn.position // segment_bytes, segment_bytes)

    def __str__(self) -> str:
        per_log = 0x100000000 // self.segment_bytes
        return f"{self.timeline:08X}{self.number // per_log:08X}{self.number % per_log:08X}"

    def _same_line(self, other: "WalSegment") -> None:
        if self.timeline != other.timeline:
            raise TypeError(f"segments of different timelines do not compare: {self}, {other}")

    def __lt__(self, other: "WalSegment") -> bool:
        self._same_line(other)
        return self.number < other.number

    def __sub__(self, other: "WalSegment") -> int:
        """Segments from `other` to this one."""
        self._same_line(other)
        return self.number - other.number
