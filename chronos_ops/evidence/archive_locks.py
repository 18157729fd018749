"""Is the bucket's copy there, locked, and the only one; does the chain end where it ends? (R4)"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from chronos_ops.connectors.aws import AwsRefused
from chronos_ops.evidence.archive import ARCHIVE, RECEIPTS, TIMESTAMPS
from chronos_ops.evidence.archive_bucket import Bucket, Held, Version
from chronos_ops.evidence.archive_verify import Looked, Opened, all_good
from chronos_ops.evidence.chain import PUBLIC_KEY, STATEMENTS
from chronos_ops.evidence.folder import read_json
from chronos_ops.model.archive import Archive as Declared
from chronos_ops.model.finding import Finding, judge


@dataclass(frozen=True)
class Wanted:
    """An object that has to be there. `until`: how long its lock must last at least."""

    sha256: str
    mode: str
    until: datetime | None
    version: str = ""  # as the receipt knows it


def verify_bucket(
    looked: Looked, bucket: Bucket, declared: Declared, run: str = ""
) -> list[Finding]:
    """Findings about the bucket's copy. Raises TransportError and the like: nothing is known then.

    `run`: only this run's objects are asked for their locks.
    """
    try:
        able, versioned = bucket.locks_objects(), bucket.keeps_versions()
    except AwsRefused as error:
        if error.code != "NoSuchBucket":
            raise
        able = versioned = False
    found = [
        judge(
            "archive.bucket",
            "The bucket locks objects and keeps versions",
            passed=able and versioned,
            observed=f"Object Lock {_on(able)}, versioning {_on(versioned)}",
            expected="both on",
            hint="./chronos archive init makes it; Object Lock is switched on at creation",
            requirement="R4",
        )
    ]
    if not able:
        return found
    versions: dict[str, list[Version]] = {}
    for version in bucket.versions():
        versions.setdefault(version.key, []).append(version)
    wanted = dict(_wanted(looked, bucket, declared))
    found += [
        _end(looked, bucket, versions),
        _deletions(versions),
        _nothing_foreign(versions, wanted),
    ]
    chosen = {key: one for key, one in wanted.items() if not run or _of(run, looked, key)}
    return found + _locks(bucket, versions, chosen)


def _on(state: bool) -> str:
    return "on" if state else "off"


def _of(run: str, looked: Looked, key: str) -> bool:
    """The key itself, and what belongs to a run's entries."""
    seqs = {f"{entry.seq:08d}" for entry in looked.reading.entries if entry.run == run}
    name = key.rsplit("/", 1)[-1]
    return name == PUBLIC_KEY or name[:8] in seqs


def _wanted(looked: Looked, bucket: Bucket, declared: Declared) -> Iterator[tuple[str, Wanted]]:
    """Every object that the chain stands for, by its key in the bucket."""
    folder = looked.runs / ARCHIVE
    pem = (folder / PUBLIC_KEY).read_bytes()
    yield bucket.key(PUBLIC_KEY), Wanted(_sha(pem), declared.lock_mode, None)
    newest = looked.newest
    for one in looked.opened:
        entry, retention = one.entry, one.said.retention
        written = _receipt(folder, one)
        mode: str = declared.lock_mode
        until: datetime | None = None
        if retention is not None:
            mode = retention.mode
            until = datetime.fromisoformat(one.said.sealed_at) + timedelta(days=retention.days)
        elif not written:  # sealed before a bucket was declared, and not sent since
            continue

        def want(
            name: str,
            sha256: str,
            mode: str = mode,
            until: datetime | None = until,
            written: dict[str, str] = written,
        ) -> tuple[str, Wanted]:
            key = bucket.key(name)
            return key, Wanted(sha256, mode, until, written.get(key, ""))

        yield want(f"entries/{entry.seq:08d}.json", _sha(entry.line.encode() + b"\n"))
        name = f"{entry.name}.dsse.json"
        yield want(f"{STATEMENTS}/{name}", _sha((folder / STATEMENTS / name).read_bytes()))
        package = f"packages/{entry.name}.tar"
        superseded = entry.run and newest[entry.run] is not one
        if one.said.package and (not superseded or bucket.key(package) in written):
            yield want(package, one.said.package.sha256)
        token = folder / TIMESTAMPS / f"{entry.name}.tsr"
        if token.is_file() and bucket.key(f"{TIMESTAMPS}/{token.name}") in written:
            yield want(f"{TIMESTAMPS}/{token.name}", _sha(token.read_bytes()))


def _receipt(folder: Path, one: Opened) -> dict[str, str]:
    """Key and version of what was written; nothing if no receipt can be read."""
    data = read_json(folder / RECEIPTS / f"{one.entry.name}.json")
    try:
        return {str(o["key"]): str(o["version"]) for o in data["objects"]}
    except (KeyError, TypeError):
        return {}


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -- judged


def _end(looked: Looked, bucket: Bucket, versions: dict[str, list[Version]]) -> Finding:
    """The chain's anchored end: no line in the bucket that the index lacks."""
    prefix = bucket.key("entries/")
    names = (key.removeprefix(prefix)[:8] for key in versions if key.startswith(prefix))
    last = max((int(name) for name in names if name.isdigit()), default=0)
    here = looked.reading.head[0]
    return judge(
        "archive.end",
        "The chain here ends no earlier than in the bucket",
        passed=here >= last if last or here else None,
        observed=f"{here} here, {last} in the bucket",
        expected=f"{last} or more here",
        hint="lines were removed at the index's end; the bucket holds them",
        requirement="R4",
    )


def _deletions(versions: dict[str, list[Version]]) -> Finding:
    problems = [
        f"{key}: deleted on {v.written_at:%Y-%m-%d %H:%M} UTC (what it held may be there below it)"
        for key, all_ in versions.items()
        for v in all_
        if v.marker
    ]
    hint = "remove the delete marker: a locked version cannot be removed"
    return all_good(
        "archive.deletions", "Nothing was deleted in the bucket", problems, "none", hint=hint
    )


def _nothing_foreign(versions: dict[str, list[Version]], wanted: dict[str, Wanted]) -> Finding:
    problems = [f"{key}: of no line of the index" for key in versions if key not in wanted]
    return all_good(
        "archive.foreign",
        "The bucket holds nothing that the chain does not know",
        problems,
        "nothing",
        hint="lines that were removed here, or another archive below the same prefix",
    )


def _locks(
    bucket: Bucket, versions: dict[str, list[Version]], wanted: dict[str, Wanted]
) -> list[Finding]:
    """Each object: there, with the right content in every version, locked as was declared."""
    asked = [v for key in wanted for v in versions.get(key, ()) if not v.marker]
    told: dict[str, list[Held]] = {}
    for held in bucket.look_at_all(asked):
        told.setdefault(held.key, []).append(held)
    missing, changed, unlocked = [], [], []
    for key, want in wanted.items():
        all_ = told.get(key, [])
        if not all_ or (want.version and want.version not in {h.version for h in all_}):
            missing.append(
                f"{key}: {'the version that was written' if all_ else 'it'} is not there"
            )
        for held in all_:
            if bucket.content(held) != want.sha256:
                changed.append(f"{key}: version {held.version} holds something else")
        right = [held for held in all_ if held.version == want.version] or all_[:1]
        unlocked += [f"{key}: {text}" for held in right for text in _lock(held, want)]
    return [
        all_good(
            "archive.objects",
            "Each line, statement and package is in the bucket",
            missing,
            f"{len(wanted)} objects",
            hint="./chronos archive push sends what is pending",
        ),
        all_good(
            "archive.content",
            "Each version in the bucket is what was sealed",
            changed,
            f"{len(asked)} versions",
            hint="somebody wrote over it; the first version is the sealed one",
        ),
        all_good(
            "archive.locks",
            "Each object is locked as long as was declared",
            unlocked,
            f"{len(asked)} locks",
            hint="a lock was shortened or lifted (GOVERNANCE admits it to who may bypass it)",
        ),
    ]


def _lock(held: Held, want: Wanted) -> Iterator[str]:
    if not held.mode or held.retain_until is None:
        yield "no lock"
        return
    if held.mode != want.mode:
        yield f"lock {held.mode}, declared was {want.mode}"
    if want.until is not None and held.retain_until < want.until:
        yield f"locked until {held.retain_until:%Y-%m-%d %H:%M}, not {want.until:%Y-%m-%d %H:%M}"
