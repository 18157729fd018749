"""Is the archive what was written? Hashes, signatures, places in the chain, completeness (R4).

Looks only at files: what the bucket holds is `archive_locks`'s to judge.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chronos_ops.evidence.archive import ARCHIVE, TIMESTAMPS, unsealed
from chronos_ops.evidence.chain import (
    PUBLIC_KEY,
    STATEMENTS,
    Entry,
    Reading,
    entry_of,
    read_index,
)
from chronos_ops.evidence.envelope import BadEnvelope, Predicate, Statement, open_envelope
from chronos_ops.evidence.manifest import MANIFEST
from chronos_ops.evidence.signing import PublicKey
from chronos_ops.evidence.timestamp import stamped_at
from chronos_ops.model.errors import ChronosError, UsageError
from chronos_ops.model.finding import Finding, Status, judge

_SHOWN = 8


@dataclass(frozen=True)
class Opened:
    """An entry with its statement, signature checked."""

    entry: Entry
    said: Predicate
    files: tuple[tuple[str, str], ...]  # name, sha256


@dataclass
class Looked:
    """An archive as its files tell it."""

    runs: Path
    public: PublicKey
    reading: Reading
    opened: list[Opened] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def newest(self) -> dict[str, Opened]:
        """By run: what was sealed last counts (a later teardown seals a run anew)."""
        return {one.entry.run: one for one in self.opened if one.entry.run}


def verify_files(
    target_folder: Path,
    *,
    fingerprint: str | None = None,
    run: str = "",
    ca_file: str | None = None,
) -> Looked:
    """Every check that needs files alone. Raises UsageError: no archive there.

    `fingerprint`: the key as it is known from elsewhere. `run`: only this run's files are read;
    the chain is checked as a whole. `ca_file`: of the time-stamp authority.
    """
    looked = verify_chain(target_folder, fingerprint)
    looked.findings += _runs(looked, run)
    looked.findings += _stamps(looked, target_folder / ARCHIVE, ca_file)
    return looked


def verify_chain(target_folder: Path, fingerprint: str | None) -> Looked:
    """Key, chain and signatures, no run's files. Raises UsageError: no archive there."""
    folder = target_folder / ARCHIVE
    try:
        public = PublicKey((folder / PUBLIC_KEY).read_bytes())
        looked = Looked(target_folder, public, read_index(folder))
    except FileNotFoundError:
        raise UsageError(
            "no archive there",
            folder,
            hint="declare `archive:` in the parameter file; the next run begins it",
        ) from None
    looked.findings += [_key(public, fingerprint), _chain(looked.reading)]
    looked.findings += _statements(looked, folder)
    return looked


def changed_files(looked: Looked, one: Opened) -> list[str]:
    """Files of one run that are not as they were sealed: changed, gone, new."""
    return _differences(looked.runs, one.entry.run, one.said.kind, one.files)


def _key(public: PublicKey, fingerprint: str | None) -> Finding:
    """Whose key it is cannot be told from the archive: it must be known from elsewhere."""
    seen = public.fingerprint
    return judge(
        "archive.key",
        "The key is the archive's",
        passed=None if fingerprint is None else seen == fingerprint,
        observed=seen,
        expected=fingerprint or "a fingerprint known from elsewhere",
        hint="name it in `archive.key_fingerprint`, or with --fingerprint"
        if fingerprint is None
        else "the key was replaced: whoever did so could sign anything",
        requirement="R4",
    )


def _chain(reading: Reading) -> Finding:
    problems = list(reading.problems)
    if reading.torn:
        problems.append(f"the last line is torn after {len(reading.torn)} bytes")
    return all_good(
        "archive.chain",
        "Each line follows on the one before",
        problems,
        f"{len(reading.entries)} lines",
        hint="a torn line is completed by the next run or `./chronos archive push`; all else was "
        "done by somebody: the bucket holds each line as it was",
    )


def _statements(looked: Looked, folder: Path) -> list[Finding]:
    """The signature over each line, and no statement beyond the lines."""
    problems: list[str] = []
    known = set()
    for entry in looked.reading.entries:
        path = folder / STATEMENTS / f"{entry.name}.dsse.json"
        known.add(path.name)
        try:
            statement, digest = open_envelope(path.read_bytes(), looked.public)
        except FileNotFoundError:
            problems.append(f"entry {entry.seq} ({entry.run}): its statement is gone")
            continue
        except (BadEnvelope, OSError) as error:
            problems.append(f"entry {entry.seq} ({entry.run}): {error}")
            continue
        if entry_of(statement, digest, looked.public.fingerprint).line != entry.line:
            problems.append(f"entry {entry.seq} ({entry.run}): the signed statement says otherwise")
            continue
        looked.opened.append(_opened(entry, statement))
    beyond = sorted(p.name for p in (folder / STATEMENTS).glob("*.dsse.json"))
    beyond = [name for name in beyond if name not in known]
    return [
        all_good(
            "archive.signatures",
            "Each line is signed, with its place",
            problems,
            f"{len(looked.opened)} signatures",
        ),
        all_good(
            "archive.lines",
            "No statement without its line",
            [f"{name} is signed and not in the index" for name in beyond],
            "none",
            hint="a crash, or a line was removed: `./chronos archive push` completes the index "
            "from the signed statements",
        ),
    ]


def _opened(entry: Entry, statement: Statement) -> Opened:
    files = tuple((one.name, one.digest.sha256) for one in statement.subject)
    return Opened(entry, statement.predicate, files)


# -- the runs' files


def _runs(looked: Looked, only: str) -> list[Finding]:
    wanted = [
        one
        for one in looked.newest.values()
        if one.said.kind in ("run", "refused") and only in ("", one.entry.run)
    ]
    if only and not wanted:
        return [
            judge(
                "archive.files",
                "The files are those that were sealed",
                passed=False,
                observed=f"{only} is not in the archive",
                expected="an entry",
                hint="./chronos archive push seals runs that were not",
                requirement="R4",
            )
        ]
    jobs = [(looked.runs, one.entry.run, one.said.kind, one.files) for one in wanted]
    problems = [text for job in jobs for text in _differences(*job)]
    found = [
        all_good(
            "archive.files",
            "The files are those that were sealed",
            problems,
            f"{sum(len(one.files) for one in wanted)} files of {len(wanted)} runs",
            hint="the bucket holds the package of each run as it was sealed",
        )
    ]
    if not only:
        found.append(
            all_good(
                "archive.complete",
                "Every run that ended is in the chain",
                [f"{run.name} has no entry" for run in unsealed(looked.runs)],
                "all",
                hint=f"./chronos archive push --target {looked.runs.name} seals them",
            )
        )
    return found


def _differences(runs: Path, run: str, kind: str, files: Iterable[tuple[str, str]]) -> list[str]:
    """Files of a run that are not as signed: changed, gone, new."""
    folder, signed = str(runs / run), dict(files)
    if not os.path.isdir(folder):  # noqa: PTH112 - a thousand runs: pathlib takes half the time
        return [f"{run}: its folder is gone"]
    present = dict(_present(folder, ""))
    found = []
    try:
        listed = _listed(present[MANIFEST], signed)
    except KeyError:
        listed, found = {}, [f"gone: {MANIFEST}"]
    except (OSError, ValueError) as error:
        listed, found = {}, [f"changed: {MANIFEST} ({error})"]
    # A manifest that is as it was signed vouches for its files (of a refused run it is all).
    if kind == "run" and listed and listed != {n: d for n, d in signed.items() if n != MANIFEST}:
        found.append("manifest and statement name different files")
    for name, digest in (listed or signed).items():
        if name == MANIFEST:
            continue
        if name not in present:
            found.append(f"gone: {name}")
        elif _sha256(present[name]) != digest:
            found.append(f"changed: {name}")
    found += [f"new: {name}" for name in sorted(present) if name not in (listed or signed)]
    return [f"{run}: {text}" for text in found if text != f"new: {MANIFEST}"]


def _present(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Name and path of each file of a run; hidden ones are no part of it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _present(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry.path


def _sha256(path: str) -> str:
    """Hexadecimal digest; of a file that cannot be read, why."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return str(error.strerror)


def _listed(manifest: str, signed: dict[str, str]) -> dict[str, str]:
    """What the manifest lists. Raises ValueError: it is not the one that was signed."""
    raw = Path(manifest).read_bytes()
    if hashlib.sha256(raw).hexdigest() != signed.get(MANIFEST):
        raise ValueError("it is not the one that was signed")
    return {entry["path"]: entry["sha256"] for entry in json.loads(raw)["files"]}


# -- time-stamps


def _stamps(looked: Looked, folder: Path, ca_file: str | None) -> list[Finding]:
    """Time-stamps that are there. Without the authority's CA they stay unknown."""
    tokens = {path.stem: path for path in (folder / TIMESTAMPS).glob("*.tsr")}
    if not tokens:
        return []
    title = "Time-stamps are of these lines"
    if ca_file is None:
        return [
            judge(
                "archive.timestamps",
                title,
                passed=None,
                observed=f"{len(tokens)} not checked",
                expected="signed by the authority",
                hint="name its CA in `archive.timestamp_ca_file`",
                requirement="R4",
            )
        ]
    problems = []
    for entry in looked.reading.entries:
        token = tokens.pop(entry.name, None)
        if token is None:
            continue
        try:
            stamped_at(entry, token, Path(ca_file).expanduser())
        except ChronosError as error:
            problems.append(f"{entry.name}: {error.noun}")
    problems += [f"{name} is of no line" for name in tokens]
    return [all_good("archive.timestamps", title, problems, "all good")]


def all_good(
    identifier: str, title: str, problems: Sequence[str], otherwise: str, *, hint: str = ""
) -> Finding:
    """A check over many things: passed if none has a problem; the first ones are named."""
    shown = "\n".join(problems[:_SHOWN])
    if len(problems) > _SHOWN:
        shown += f"\nand {len(problems) - _SHOWN} more"
    return Finding(
        id=identifier,
        status=Status.FAIL if problems else Status.PASS,
        title=title,
        observed=shown or otherwise,
        expected="no difference",
        hint=hint if problems else "",
        requirement="R4",
    )
