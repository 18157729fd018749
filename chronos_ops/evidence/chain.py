"""`index.jsonl`: one line a sealed run, each with the hash of the line before (R4).

A statement is written before its line, and the line follows from the statement alone: what a
crash cut off is completed to the same bytes by the next writer. Statements carry their place in
the chain, so that without the key no line can be removed, moved or made up; that the chain's end
is there is proven by the bucket, which holds each line too.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos_ops.evidence.envelope import (
    BadEnvelope,
    Predicate,
    Statement,
    open_envelope,
    seal,
    subject,
)
from chronos_ops.evidence.signing import PublicKey, SigningKey
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.timing import stamp, utc_now

INDEX = "index.jsonl"
STATEMENTS = "statements"
PUBLIC_KEY = "public-key.pem"
FIRST = "0" * 64
_HASH = ',"hash":"'


class BrokenChain(ChronosError):
    """The archive is not what was written: nothing is added to it until a person has looked."""


@dataclass(frozen=True)
class Entry:
    """One line of the index; `line` is its text, `hash` that of all before its own field."""

    seq: int
    at: str
    kind: str
    run: str
    target: str
    verdict: str
    key: str
    statement: str
    previous: str
    hash: str
    line: str

    @property
    def name(self) -> str:
        """`00000012-<run>`: of its statement, package and receipt."""
        return f"{self.seq:08d}-{self.run or self.kind}"


@dataclass(frozen=True)
class Reading:
    """What the index says, and what is wrong with it. `torn`: a last line that has no end."""

    entries: tuple[Entry, ...]
    problems: tuple[str, ...]
    torn: bytes = b""

    @property
    def head(self) -> tuple[int, str]:
        """Last sequence number and hash; (0, zeros) of an empty chain."""
        return (self.entries[-1].seq, self.entries[-1].hash) if self.entries else (0, FIRST)


def entry_of(statement: Statement, digest: str, key: str) -> Entry:
    """The line that belongs to a statement: nothing else goes into it."""
    said = statement.predicate
    fields: dict[str, Any] = {
        "seq": said.seq,
        "at": said.sealed_at,
        "kind": said.kind,
        "run": said.run,
        "target": said.target,
        "verdict": said.verdict,
        "key": key,
        "statement": digest,
        "previous": said.previous,
    }
    body = json.dumps(fields, separators=(",", ":"))[:-1]
    own = hashlib.sha256(body.encode()).hexdigest()
    return Entry(**fields, hash=own, line=f'{body}{_HASH}{own}"}}')


def read_entry(text: str) -> Entry:
    """One line. Raises ValueError: not a line of an index, or changed."""
    body, sign, rest = text.partition(_HASH)
    fields = json.loads(text)
    own = hashlib.sha256(body.encode()).hexdigest()
    if not sign or rest != f'{own}"}}' or fields["hash"] != own:
        raise ValueError("its hash does not fit")
    return Entry(**fields, line=text)


def read_index(folder: Path) -> Reading:
    """Every line, checked against the one before. No index is an empty one. Raises OSError."""
    path = folder / INDEX
    raw = path.read_bytes() if path.exists() else b""
    whole, newline, torn = raw.rpartition(b"\n")
    entries: list[Entry] = []
    problems: list[str] = []
    seq, previous = 0, FIRST
    for number, line in enumerate(whole.split(b"\n") if newline else [], start=1):
        try:
            entry = read_entry(line.decode())
        except (ValueError, TypeError, KeyError) as error:
            problems.append(f"line {number}: changed: {error}")
            seq += 1
            continue
        if (entry.seq, entry.previous) != (seq + 1, previous):
            problems.append(
                f"line {number}: entry {entry.seq} does not follow on {seq}: "
                "a line was removed, moved or changed"
            )
        entries.append(entry)
        seq, previous = entry.seq, entry.hash
    return Reading(tuple(entries), tuple(problems), torn)


class Chain:
    """Appends. Several processes may: one at a time, by a lock that ends with its process."""

    def __init__(self, folder: Path, key: SigningKey, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.key = key
        self._say = say

    def append(self, make: Callable[[int, str], Statement]) -> Entry:
        """Sign what `make(seq, previous)` returns and append its line. Raises BrokenChain, OSError.

        What a crash left is completed first.
        """
        with self._locked():
            seq, previous = self._mended()
            return self._add(make(seq + 1, previous))

    def mend(self) -> None:
        """Complete what a crash left. Raises BrokenChain, OSError."""
        with self._locked():
            self._mended()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        (self.folder / STATEMENTS).mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._own_key()
            yield
        finally:
            os.close(handle)

    def _own_key(self) -> None:
        path = self.folder / PUBLIC_KEY
        if not path.exists():
            if (self.folder / INDEX).exists():
                raise BrokenChain("the archive's public key is gone", path)
            write_whole(path, self.key.public.pem)
        there = PublicKey(path.read_bytes()).fingerprint
        if there != self.key.fingerprint:
            raise BrokenChain(
                "the archive belongs to another key",
                f"{there}, the operator's is {self.key.fingerprint}",
                hint="a key that is lost ends its archive: move the folder `archive` away, name "
                "another `archive.prefix`, and the next run begins a new one",
            )

    def _mended(self) -> tuple[int, str]:
        """The head, after what a crash left is completed."""
        reading = read_index(self.folder)
        if reading.problems:
            raise BrokenChain(
                "the index is broken: nothing is added to it",
                "; ".join(reading.problems[:3]),
                hint="./chronos verify says all; the bucket holds each line as it was",
            )
        if reading.torn:
            self._heal(reading)
        for entry in self._cut_off(*read_index(self.folder).head):
            self._say(f"archive: entry {entry.seq} completed ({entry.run or entry.kind})")
            self._append_line(entry)
        return read_index(self.folder).head

    def _cut_off(self, seq: int, previous: str) -> list[Entry]:
        """Entries whose statements were signed and whose lines are not there."""
        found: list[Entry] = []
        while paths := sorted((self.folder / STATEMENTS).glob(f"{seq + 1:08d}-*.dsse.json")):
            try:
                statement, digest = open_envelope(paths[0].read_bytes(), self.key.public)
            except BadEnvelope as error:
                raise BrokenChain(f"{paths[0].name} is no statement of ours", error) from None
            entry = entry_of(statement, digest, self.key.fingerprint)
            if len(paths) > 1 or (entry.seq, entry.previous) != (seq + 1, previous):
                raise BrokenChain("a statement does not follow on the index", paths[-1].name)
            found.append(entry)
            seq, previous = entry.seq, entry.hash
        return found

    def _heal(self, reading: Reading) -> None:
        """A torn last line: completed if it is the beginning of the next one, else set aside.

        Either way a signed entry of its own says so; it is on disk before the line is touched.
        """
        torn = reading.torn
        waiting = self._cut_off(*reading.head)
        known = bool(waiting) and waiting[0].line.encode().startswith(torn)
        did = "completed from its statement" if known else "set aside: it belongs to no statement"
        if not (waiting and waiting[-1].kind == "healed"):  # else the healing itself was cut off
            seq, previous = (waiting[-1].seq, waiting[-1].hash) if waiting else reading.head
            said = Predicate(
                kind="healed",
                seq=seq + 1,
                previous=previous,
                run="",
                target="",
                verdict="",
                sealed_at=stamp(utc_now()),
                note=f"a last line torn after {len(torn)} bytes was {did}",
            )
            digest = hashlib.sha256(torn).hexdigest()
            self._sign(Statement(subject=(subject("torn-line", digest),), predicate=said))
        if not known:
            name = f"torn-{hashlib.sha256(torn).hexdigest()[:12]}"
            write_whole(self.folder / name, torn)
        path = self.folder / INDEX
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - len(torn))
            os.fsync(file.fileno())
        self._say(f"archive: a torn last line of the index was {did}")

    def _add(self, statement: Statement) -> Entry:
        entry = self._sign(statement)
        self._append_line(entry)
        return entry

    def _sign(self, statement: Statement) -> Entry:
        digest = hashlib.sha256(statement.payload()).hexdigest()
        entry = entry_of(statement, digest, self.key.fingerprint)
        path = self.folder / STATEMENTS / f"{entry.name}.dsse.json"
        write_whole(path, seal(statement, self.key))
        return entry

    def _append_line(self, entry: Entry) -> None:
        handle = os.open(
            self.folder / INDEX, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644
        )
        try:
            raw = entry.line.encode() + b"\n"
            while raw:
                raw = raw[os.write(handle, raw) :]
            os.fsync(handle)
        finally:
            os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """All of it on disk, or nothing. Raises OSError."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
