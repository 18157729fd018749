"""From the operators' machine into the bucket; what fails stays pending and is tried again (R4)."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from chronos_ops.connectors.aws import AwsRefused
from chronos_ops.evidence.archive import RECEIPTS, TIMESTAMPS, Archive, NotSealed
from chronos_ops.evidence.archive_bucket import Bucket, Held
from chronos_ops.evidence.chain import PUBLIC_KEY, Entry, read_index, write_whole
from chronos_ops.evidence.envelope import open_envelope
from chronos_ops.evidence.folder import read_json
from chronos_ops.evidence.package import write_package
from chronos_ops.model.timing import stamp, utc_now

_SPOOL_BYTES = 32 * 1024 * 1024  # larger packages go by way of the disk


def push(archive: Archive, bucket: Bucket) -> list[Entry]:
    """Send what the bucket does not hold yet, oldest first. Raises ChronosError, OSError.

    An entry's receipt is written when all of it is there, its line of the index last. A run that
    was changed after it was sealed is not sent; it holds nobody else up (NotSealed at the end).
    """
    with archive.pushing():
        try:
            return _push(archive, bucket)
        except AwsRefused as error:
            if error.code != "NoSuchBucket":
                raise
            if not archive.declared.create_bucket:
                error.add(f"./chronos archive init --target {archive.runs.name} makes the bucket")
                raise
            # A new bucket (a lab's is as young as the lab): whatever was sent went elsewhere.
            bucket.make()
            shutil.rmtree(archive.folder / RECEIPTS, ignore_errors=True)
            return _push(archive, bucket)


def _push(archive: Archive, bucket: Bucket) -> list[Entry]:
    entries = read_index(archive.folder).entries
    waiting = [entry for entry in entries if _wanted(archive, entry)]
    if not waiting:
        return []
    if not (archive.folder / RECEIPTS).is_dir():
        pem = (archive.folder / PUBLIC_KEY).read_bytes()
        bucket.keep(PUBLIC_KEY, pem, hashlib.sha256(pem).hexdigest())
        (archive.folder / RECEIPTS).mkdir()
    newest = {entry.run: entry for entry in entries}
    sent: list[Entry] = []
    changed: list[NotSealed] = []
    for entry in waiting:
        try:
            _send(archive, bucket, entry, again=newest[entry.run] != entry)
            sent.append(entry)
        except NotSealed as error:
            changed.append(error)
    if changed:
        raise changed[0]
    return sent


def _wanted(archive: Archive, entry: Entry) -> bool:
    receipt = archive.folder / RECEIPTS / f"{entry.name}.json"
    if not receipt.is_file():
        return True
    stamped = (archive.folder / TIMESTAMPS / f"{entry.name}.tsr").is_file()
    return stamped and not any("/timestamps/" in o["key"] for o in read_json(receipt)["objects"])


def _send(archive: Archive, bucket: Bucket, entry: Entry, *, again: bool) -> None:
    objects = [bucket.keep(*one) for one in _objects(archive, entry, again=again)]
    receipt = {
        "schema": "chronos-ops/receipt/1",
        "seq": entry.seq,
        "bucket": bucket.name,
        "written_at": stamp(utc_now()),
        "objects": [_told(held) for held in objects],
    }
    text = json.dumps(receipt, indent=2) + "\n"
    write_whole(archive.folder / RECEIPTS / f"{entry.name}.json", text.encode())


def _objects(
    archive: Archive, entry: Entry, *, again: bool
) -> Iterator[tuple[str, bytes | IO[bytes], str]]:
    """Name, content and sha256 of each object of an entry; the line of the index last.

    `again`: the run was sealed once more since (a later teardown), so its files may differ.
    """
    raw = archive.statement_file(entry).read_bytes()
    statement, _ = open_envelope(raw, archive.key.public)
    package = statement.predicate.package
    if package is not None:
        names = [one.name for one in statement.subject]
        with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
            digest = _packed(archive.runs / entry.run, names, spool)
            if digest == package.sha256:
                yield f"packages/{entry.name}.tar", spool, digest
            elif not again:
                raise NotSealed(
                    f"{entry.run} was changed after it was sealed",
                    hint=f"./chronos verify {entry.run} says where; it is not sent",
                )
    yield f"statements/{entry.name}.dsse.json", raw, hashlib.sha256(raw).hexdigest()
    stamped = archive.folder / TIMESTAMPS / f"{entry.name}.tsr"
    if stamped.is_file():
        token = stamped.read_bytes()
        yield f"timestamps/{entry.name}.tsr", token, hashlib.sha256(token).hexdigest()
    line = entry.line.encode() + b"\n"
    yield f"entries/{entry.seq:08d}.json", line, hashlib.sha256(line).hexdigest()


def _packed(run: Path, names: list[str], spool: Any) -> str:
    """Fill the spool; its sha256, and its begin ready to be read."""
    try:
        write_package(run, names, spool)
    except FileNotFoundError as error:
        raise NotSealed("a file of a sealed run is gone", error.filename) from None
    spool.seek(0)
    digest = hashlib.sha256()
    while block := spool.read(1024 * 1024):
        digest.update(block)
    spool.seek(0)
    return digest.hexdigest()


def _told(held: Held) -> dict[str, Any]:
    return {
        "key": held.key,
        "version": held.version,
        "sha256": held.sha256,
        "mode": held.mode,
        "retain_until": stamp(held.retain_until) if held.retain_until else "",
    }
