"""`journal.jsonl`: one JSON line an event, on disk before the deed, closed in `finally`."""

import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.secrets import send_secret
from chronos_ops.model.journal import IntervalKind
from chronos_ops.model.plan import Deed
from chronos_ops.model.secret import Secret
from chronos_ops.model.timing import stamp, utc_now

JOURNAL = "journal.jsonl"
RESERVE = ".reserve"  # space given back when the disk is full, so that the end can be written


@dataclass(frozen=True)
class Event:
    """One line. `monotonic` is CLOCK_MONOTONIC: equal for all processes of one boot."""

    seq: int
    at: str
    monotonic: float
    event: str  # begin, end, resource, removed, kept, note
    name: str
    kind: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    undo: list[Any] = field(default_factory=list)


class FileJournal:
    """The `Journal` of `model.journal`, in a run's folder. Several processes may append.

    A line that announces (`begin`, `resource`) raises OSError if it cannot be written: no deed
    without its record. One that closes does not: what it would have proven stays unproven.
    """

    def __init__(self, folder: Path, redactor: Redactor | None = None) -> None:
        self.path = folder / JOURNAL
        self.redactor = redactor or Redactor()
        self.lost = 0  # closing lines that could not be written
        self._lock = threading.Lock()
        self._size = -1
        self._seq = 0

    # -- model.journal.Journal

    @contextmanager
    def interval(self, kind: IntervalKind, name: str, **data: Any) -> Iterator[dict[str, Any]]:
        """`begin`, and in `finally` `end` with seconds and status."""
        begin = self._write({"event": "begin", "kind": kind, "name": name, "data": data})
        extra: dict[str, Any] = {}
        status = "ok"
        started = time.monotonic()
        try:
            yield extra
        except Exception as error:
            status = "error"
            extra.setdefault("error", f"{type(error).__name__}: {error}")
            raise
        except BaseException as error:  # KeyboardInterrupt, SystemExit: recorded, passed on
            status = "interrupted"
            extra.setdefault("error", type(error).__name__)
            raise
        finally:
            seconds = round(time.monotonic() - started, 6)
            closing = {"begin": begin, "seconds": seconds, "status": status, **extra}
            self._close({"event": "end", "kind": kind, "name": name, "data": closing})

    def resource(self, name: str, undo: Sequence[Deed]) -> None:
        """A resource is about to be created; `undo` removes it."""
        deeds = [deed.model_dump(mode="json") for deed in undo]
        self._write({"event": "resource", "name": name, "undo": deeds})

    def removed(self, name: str) -> None:
        """The resource is gone, seen by a probe."""
        self._close({"event": "removed", "name": name})

    def kept(self, names: Sequence[str], why: str) -> None:
        """These resources stay: no teardown of this run undoes them. All of them, or an OSError."""
        self._write({"event": "kept", "name": why, "data": {"resources": list(names)}})

    def note(self, name: str, **data: Any) -> None:
        """A fact worth keeping."""
        self._close({"event": "note", "name": name, "data": data})

    def keep_secret(self, secret: Secret) -> None:
        """Redact this text from now on, here and in the runner that writes the notebook."""
        self.redactor.add(secret)
        send_secret(secret)

    # -- writing

    def _close(self, line: dict[str, Any]) -> None:
        try:
            self._write(line)
        except OSError:
            self.lost += 1

    def _write(self, line: dict[str, Any]) -> int:
        # JSON first, then the redactor on the data: a secret's text never breaks the line.
        plain = json.loads(json.dumps(line, default=str))
        with self._lock:
            try:
                return self._append(self.redactor.data(plain))
            except OSError as error:
                if error.errno != errno.ENOSPC or not self._give_back():
                    raise
                return self._append(self.redactor.data(plain))

    def _append(self, line: dict[str, Any]) -> int:
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            torn = self._catch_up(handle)
            seq = self._seq + 1
            head = {"seq": seq, "at": stamp(utc_now()), "monotonic": round(time.monotonic(), 6)}
            text = json.dumps({**head, **line}, ensure_ascii=False, separators=(",", ":"))
            raw = (b"\n" if torn else b"") + text.encode("utf-8", "backslashreplace") + b"\n"
            before = os.fstat(handle).st_size
            try:
                _write_all(handle, raw)
                if _must_survive(line):
                    os.fdatasync(handle)
            except OSError:
                os.ftruncate(handle, before)
                raise
            self._seq, self._size = seq, before + len(raw)
            return seq
        finally:
            os.close(handle)

    def _catch_up(self, handle: int) -> bool:
        """Learn what another process appended; True if the last line is torn (writer killed)."""
        size = os.fstat(handle).st_size
        if size == self._size:
            return False
        content = os.pread(handle, size, 0)
        self._seq = content.count(b"\n") + (0 if content.endswith(b"\n") or not content else 1)
        return bool(content) and not content.endswith(b"\n")

    def _give_back(self) -> bool:
        reserve = self.path.with_name(RESERVE)
        if not reserve.exists():
            return False
        reserve.unlink()
        return True


def _must_survive(line: dict[str, Any]) -> bool:
    """Even a power failure here: what undo needs. All else survives the death of the process."""
    return line["event"] in ("resource", "removed", "kept") or (
        line["event"] == "begin" and line.get("kind") == "deed"
    )


def _write_all(handle: int, raw: bytes) -> None:
    while raw:
        raw = raw[os.write(handle, raw) :]


def read_journal(path: Path) -> list[Event]:
    """Events of a journal file (or of a run's folder), in order; torn lines are left out."""
    file = path / JOURNAL if path.is_dir() else path
    events: list[Event] = []
    if not file.is_file():
        return events
    for text in file.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            line = json.loads(text)
            events.append(Event(**line))
        except (ValueError, TypeError):
            continue
    return events


def intervals(
    events: Iterable[Event], kinds: Iterable[str], until: float | None = None
) -> list[tuple[float, float]]:
    """(begin, end) of each interval of these kinds, monotonic seconds.

    One that was never closed ends at `until`, by default at the journal's last line.
    """
    events = list(events)
    wanted = set(kinds)
    opened = {e.seq: e.monotonic for e in events if e.event == "begin" and e.kind in wanted}
    last = until if until is not None else max((e.monotonic for e in events), default=0.0)
    found: list[tuple[float, float]] = []
    for event in events:
        if event.event == "end" and event.data.get("begin") in opened:
            found.append((opened.pop(event.data["begin"]), event.monotonic))
    found += [(begin, max(begin, last)) for begin in opened.values()]
    return sorted(found)


def union_seconds(events: Iterable[Event], kinds: Iterable[str]) -> float:
    """Seconds in which at least one interval of these kinds was open (overlaps count once)."""
    total = 0.0
    reached = float("-inf")
    for begin, end in intervals(events, kinds):
        if end > reached:
            total += end - max(begin, reached)
            reached = end
    return total
