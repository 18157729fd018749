"""The archive of one target: runs sealed, chained and kept in a bucket under Object Lock (R4).

Beside the runs, in `outputs/<target>/archive/`: index.jsonl, public-key.pem, statements/,
receipts/ (what the bucket holds), timestamps/.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chronos_ops.evidence.chain import STATEMENTS, Chain, Entry, read_index
from chronos_ops.evidence.envelope import Kind, Package, Predicate, Retention, Statement, subject
from chronos_ops.evidence.folder import read_json
from chronos_ops.evidence.manifest import MANIFEST, differences, sha256
from chronos_ops.evidence.package import digest_package
from chronos_ops.evidence.record import RESULT, read_result
from chronos_ops.evidence.signing import SigningKey
from chronos_ops.model.archive import Archive as Declared
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.timing import stamp, utc_now

ARCHIVE = "archive"
RECEIPTS = "receipts"
TIMESTAMPS = "timestamps"


class NotSealed(ChronosError):
    """The run's folder is not as its manifest says: it is not signed."""


class Archive:
    """Seals runs. `target_folder` is `outputs/<target>`."""

    def __init__(
        self,
        target_folder: Path,
        declared: Declared,
        key: SigningKey,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.runs = target_folder
        self.folder = target_folder / ARCHIVE
        self.declared = declared
        self.key = key
        self.chain = Chain(self.folder, key, say)
        self.say = say

    def seal(self, run: Path, *, refused: str = "") -> Entry:
        """Sign a run and append it. Raises NotSealed, BrokenChain, OSError.

        `refused`: what the secret gate found; then only the hash of the manifest is kept.
        """
        wrong = differences(run)
        if wrong:
            raise NotSealed(f"{run.name} is not as its manifest says", "; ".join(wrong[:5]))
        result = read_result(run)
        if result is None:
            raise NotSealed(f"{run.name} has no readable result")
        listed = {e["path"]: e["sha256"] for e in read_json(run / MANIFEST)["files"]}
        whole = {MANIFEST: sha256(run / MANIFEST), **({} if refused else listed)}
        package = None if refused else Package(**_package(run, whole))
        kind: Kind = "refused" if refused else "run"
        declared = self.declared

        def make(seq: int, previous: str) -> Statement:
            said = Predicate(
                kind=kind,
                seq=seq,
                previous=previous,
                run=run.name,
                target=result.target,
                verdict=result.verdict.value,
                runbook=result.runbook,
                started_at=result.started_at,
                ended_at=result.ended_at,
                sealed_at=stamp(utc_now()),
                package=package,
                retention=Retention(mode=declared.lock_mode, days=declared.retention_days)
                if declared.bucket
                else None,
                note=refused,
            )
            return Statement(subject=tuple(subject(*one) for one in whole.items()), predicate=said)

        return self.chain.append(make)

    def unsealed(self) -> list[Path]:
        """Runs that ended and have no entry. (A changed run is never sealed anew by itself.)"""
        return unsealed(self.runs)

    def pending(self) -> list[Entry]:
        """Entries that the bucket is not known to hold, oldest first."""
        return pending(self.runs)

    def statement_file(self, entry: Entry) -> Path:
        return self.folder / STATEMENTS / f"{entry.name}.dsse.json"

    @contextmanager
    def pushing(self) -> Iterator[None]:
        """One process at a time speaks to the bucket."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / ".push", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def unsealed(target_folder: Path) -> list[Path]:
    """Runs of a target that ended and have no entry in its index. Raises OSError."""
    known = {entry.run for entry in read_index(target_folder / ARCHIVE).entries}
    ended = (path.parent for path in sorted(target_folder.glob(f"*/{MANIFEST}")))
    return [run for run in ended if run.name not in known and (run / RESULT).is_file()]


def pending(target_folder: Path) -> list[Entry]:
    """Entries without a receipt of the bucket. Raises OSError."""
    folder = target_folder / ARCHIVE
    return [
        entry
        for entry in read_index(folder).entries
        if not (folder / RECEIPTS / f"{entry.name}.json").is_file()
    ]


def _package(run: Path, names: Iterable[str]) -> dict[str, str | int]:
    digest, size = digest_package(run, names)
    return {"sha256": digest, "bytes": size}
