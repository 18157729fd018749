"""What was done to an archive is seen, each tampering by its check; a crash loses nothing (R4)."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chronos_ops.evidence.archive import ARCHIVE, Archive, NotSealed, pending, unsealed
from chronos_ops.evidence.archive_verify import verify_files
from chronos_ops.evidence.chain import (
    FIRST,
    INDEX,
    PUBLIC_KEY,
    STATEMENTS,
    BrokenChain,
    Entry,
    read_index,
)
from chronos_ops.evidence.envelope import open_envelope, pae
from chronos_ops.evidence.folder import read_json
from chronos_ops.evidence.manifest import MANIFEST, write_manifest
from chronos_ops.evidence.package import write_package
from chronos_ops.evidence.signing import KEY, operator_key
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Status
from tests.evidence.archived_runs import make_archive, make_run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Four sealed runs of target `lab-x`."""
    folder = tmp_path / "outputs/lab-x"
    archive = make_archive(folder, tmp_path / "state")
    for number in range(1, 5):
        archive.seal(make_run(folder, number))
    return folder


def failed(runs: Path, state: Path, run: str = "") -> dict[str, str]:
    """Checks that are not good, and what they saw."""
    looked = verify_files(runs, fingerprint=operator_key(state).fingerprint, run=run)
    return {f.id: f.observed for f in looked.findings if not f.good}


def index_lines(runs: Path) -> list[str]:
    return (runs / ARCHIVE / INDEX).read_text().splitlines()


def write_index(runs: Path, lines: list[str]) -> None:
    (runs / ARCHIVE / INDEX).write_text("".join(f"{line}\n" for line in lines))


def test_a_sealed_archive_verifies(runs: Path, tmp_path: Path) -> None:
    assert failed(runs, tmp_path / "state") == {}
    entries = read_index(runs / ARCHIVE).entries
    assert [(e.seq, e.target, e.verdict) for e in entries] == [
        (n, "lab-x", "passed") for n in range(1, 5)
    ]
    assert [e.previous for e in entries[1:]] == [e.hash for e in entries[:-1]]
    assert pending(runs) == list(entries)  # nothing was sent anywhere
    assert unsealed(runs) == []


def test_the_statement_is_in_toto_in_dsse(runs: Path, tmp_path: Path) -> None:
    public = operator_key(tmp_path / "state").public
    entry = read_index(runs / ARCHIVE).entries[0]
    raw = (runs / ARCHIVE / STATEMENTS / f"{entry.name}.dsse.json").read_bytes()
    statement, digest = open_envelope(raw, public)
    data = json.loads(statement.payload())
    assert data["_type"] == "https://in-toto.io/Statement/v1"
    assert digest == entry.statement
    names = {one["name"] for one in data["subject"]}
    assert names == {
        MANIFEST,
        "executed.ipynb",
        "executed.html",
        "journal.jsonl",
        "result.json",
        "steps/look at.json",
    }
    # DSSE's own example of the encoding that is signed
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def _change(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


def _change_and_hide(runs: Path, run: Path) -> None:
    _change(run / "executed.html")
    write_manifest(run)


RUN_DAMAGE: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "a byte": (lambda _, run: _change(run / "executed.ipynb"), "changed: executed.ipynb"),
    "a byte of the manifest": (lambda _, run: _change(run / MANIFEST), "changed: manifest.json"),
    "a file and its manifest": (_change_and_hide, "changed: executed.html"),
    "a removed file": (lambda _, run: (run / "result.json").unlink(), "gone: result.json"),
    "a removed manifest": (lambda _, run: (run / MANIFEST).unlink(), "gone: manifest.json"),
    "an added file": (lambda _, run: (run / "more").touch(), "new: more"),
    "a removed run": (lambda _, run: shutil.rmtree(run), "its folder is gone"),
}


@pytest.mark.parametrize("damage", RUN_DAMAGE)
def test_damage_to_a_run_is_caught(runs: Path, tmp_path: Path, damage: str) -> None:
    do, said = RUN_DAMAGE[damage]
    victim = sorted(runs.glob("2*"))[1]
    do(runs, victim)
    found = failed(runs, tmp_path / "state")
    assert found.keys() == {"archive.files"}
    assert f"{victim.name}: {said}" in found["archive.files"]
    assert failed(runs, tmp_path / "state", run=victim.name).keys() == {"archive.files"}
    other = min(runs.glob("2*"))
    assert failed(runs, tmp_path / "state", run=other.name) == {}


def test_a_statement_of_another_run_does_not_pass(runs: Path, tmp_path: Path) -> None:
    one, two = sorted((runs / ARCHIVE / STATEMENTS).iterdir())[:2]
    two.write_bytes(one.read_bytes())
    found = failed(runs, tmp_path / "state")
    assert "says otherwise" in found["archive.signatures"]


def test_a_changed_statement_does_not_pass(runs: Path, tmp_path: Path) -> None:
    path = min((runs / ARCHIVE / STATEMENTS).iterdir())
    envelope = json.loads(path.read_text())
    envelope["payload"] = envelope["payload"].replace("A", "B", 1)
    path.write_text(json.dumps(envelope))
    assert "signature" in failed(runs, tmp_path / "state")["archive.signatures"]
    path.unlink()
    assert "is gone" in failed(runs, tmp_path / "state")["archive.signatures"]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:1] + lines[2:],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[0], *lines[1:]],
        lambda lines: [lines[0].replace("passed", "failed"), *lines[1:]],
        lambda lines: [lines[0], "", *lines[1:]],
    ],
    ids=["removed", "reordered", "first removed", "doubled", "changed", "an empty one"],
)
def test_a_changed_index_is_caught_and_not_built_upon(
    runs: Path, tmp_path: Path, change: Callable[[list[str]], list[str]]
) -> None:
    write_index(runs, change(index_lines(runs)))
    assert "archive.chain" in failed(runs, tmp_path / "state")
    with pytest.raises(BrokenChain):
        make_archive(runs, tmp_path / "state").seal(make_run(runs, 9))


def test_a_chain_forged_anew_without_the_key_is_caught(runs: Path, tmp_path: Path) -> None:
    """Who recomputes all hashes after a removal still lacks the signatures over the places."""
    lines = index_lines(runs)
    del lines[1]
    previous, forged = FIRST, []
    for seq, line in enumerate(lines, start=1):
        body = re.sub(r'"seq":\d+', f'"seq":{seq}', line.partition(',"hash":"')[0])
        body = re.sub(r'"previous":"\w+"', f'"previous":"{previous}"', body)
        previous = hashlib.sha256(body.encode()).hexdigest()
        forged.append(f'{body},"hash":"{previous}"}}')
    write_index(runs, forged)
    statements = sorted((runs / ARCHIVE / STATEMENTS).iterdir())
    statements[1].unlink()
    for path, seq in ((statements[2], 2), (statements[3], 3)):
        path.rename(path.with_name(f"{seq:08d}{path.name[8:]}"))
    found = failed(runs, tmp_path / "state")
    assert "archive.chain" not in found  # the hashes fit again
    assert "says otherwise" in found["archive.signatures"]


def test_a_replaced_key_is_caught(runs: Path, tmp_path: Path) -> None:
    thief = make_archive(tmp_path / "forged/lab-x", tmp_path / "thief")
    for number in range(1, 5):
        thief.seal(make_run(tmp_path / "forged/lab-x", number))
    # The whole archive signed by another key is perfect in itself ...
    own = verify_files(tmp_path / "forged/lab-x", fingerprint=thief.key.fingerprint)
    assert all(f.good for f in own.findings)
    # ... and fails against the fingerprint that is known from elsewhere; unknown is no pass.
    assert failed(tmp_path / "forged/lab-x", tmp_path / "state").keys() == {"archive.key"}
    (unknown,) = (
        f for f in verify_files(tmp_path / "forged/lab-x").findings if f.id == "archive.key"
    )
    assert unknown.status is Status.UNKNOWN
    # A key file alone does not fit the signatures.
    (runs / ARCHIVE / PUBLIC_KEY).write_bytes(thief.key.public.pem)
    assert failed(runs, tmp_path / "state").keys() >= {"archive.key", "archive.signatures"}
    with pytest.raises(BrokenChain, match="another key"):
        make_archive(runs, tmp_path / "state").seal(make_run(runs, 9))


def test_a_cut_off_end_is_completed_from_the_statements(runs: Path, tmp_path: Path) -> None:
    before = index_lines(runs)
    write_index(runs, before[:2])
    assert "signed and not in the index" in failed(runs, tmp_path / "state")["archive.lines"]
    make_archive(runs, tmp_path / "state").chain.mend()
    assert index_lines(runs) == before
    assert failed(runs, tmp_path / "state") == {}


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_torn_last_line_is_seen_and_healed_with_a_record(
    runs: Path, tmp_path: Path, kept: int
) -> None:
    """The writer was killed in the middle of its line (its statement is on disk already)."""
    before = index_lines(runs)
    torn = before[3][:kept] if kept >= 0 else before[3]  # all but the line's end
    (runs / ARCHIVE / INDEX).write_text("".join(f"{line}\n" for line in before[:3]) + torn)
    found = failed(runs, tmp_path / "state")
    assert found  # never a silent pass
    assert ("torn" in found.get("archive.chain", "")) == bool(torn)
    make_archive(runs, tmp_path / "state").seal(make_run(runs, 5))
    after = index_lines(runs)
    assert after[:4] == before
    assert failed(runs, tmp_path / "state") == {}
    kinds = [e.kind for e in read_index(runs / ARCHIVE).entries]
    assert kinds == ["run"] * 4 + (["healed"] if torn else []) + ["run"]


def test_a_torn_line_of_nobody_is_set_aside_with_a_record(runs: Path, tmp_path: Path) -> None:
    with (runs / ARCHIVE / INDEX).open("a") as index:
        index.write('{"seq":5,"run":"made up"')
    make_archive(runs, tmp_path / "state").chain.mend()
    entries = read_index(runs / ARCHIVE).entries
    assert entries[-1].kind == "healed"
    assert failed(runs, tmp_path / "state") == {}
    (kept,) = (runs / ARCHIVE).glob("torn-*")
    assert kept.read_text() == '{"seq":5,"run":"made up"'


SEALER = """
import sys
from pathlib import Path
from tests.evidence.archived_runs import make_archive, make_run
folder, state, first = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for number in range(first, first + 12):
    make_archive(folder, state).seal(make_run(folder, number))
"""


def test_several_processes_seal_at_once(tmp_path: Path) -> None:
    """Nobody made the key yet: both use the one that was first."""
    folder, state = tmp_path / "outputs/lab-x", tmp_path / "state"
    argv = [sys.executable, "-c", SEALER, str(folder), str(state)]
    both = [
        subprocess.Popen([*argv, str(first)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        for first in (100, 200)
    ]
    assert [process.wait(120) for process in both] == [0, 0]
    entries: tuple[Entry, ...] = read_index(folder / ARCHIVE).entries
    assert len({entry.run for entry in entries}) == 24
    assert failed(folder, state) == {}
    assert (state / KEY).stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_killed_sealer_leaves_an_archive_that_verifies(tmp_path: Path) -> None:
    """SIGKILL at whatever moment, again and again: the next one completes what was begun."""
    folder, state = tmp_path / "outputs/lab-x", tmp_path / "state"
    for turn in range(6):
        before = len(index_lines(folder)) if turn else 0
        argv = [sys.executable, "-c", SEALER, str(folder), str(state), str(100 * turn)]
        sealer = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        deadline = time.monotonic() + 60
        while not (folder / ARCHIVE / INDEX).exists() or len(index_lines(folder)) < before + 2:
            assert time.monotonic() < deadline
            time.sleep(0.001 * turn)
        sealer.kill()
        sealer.wait()
        for run in folder.glob("2*"):  # killed before its manifest: its run never ended
            if not (run / MANIFEST).exists() or not read_json(run / MANIFEST):
                shutil.rmtree(run)
    archive = make_archive(folder, state)
    archive.chain.mend()
    for run in archive.unsealed():
        archive.seal(run)
    assert failed(folder, state) == {}
    assert len(index_lines(folder)) >= 12


def test_a_changed_run_is_not_sealed_and_not_sealed_anew(runs: Path, tmp_path: Path) -> None:
    run = make_run(runs, 9)
    _change(run / "executed.html")
    archive = make_archive(runs, tmp_path / "state")
    with pytest.raises(NotSealed, match=r"changed: executed\.html"):
        archive.seal(run)
    assert archive.unsealed() == [run]
    sealed = min(runs.glob("2*"))
    _change_and_hide(runs, sealed)
    assert archive.unsealed() == [run]  # a sealed run that was changed is no new one


def test_a_run_that_is_sealed_again_counts_as_it_was_last(runs: Path, tmp_path: Path) -> None:
    """`chronos reap` tears down again: the journal goes on, the manifest is written anew."""
    run = min(runs.glob("2*"))
    (run / "journal.jsonl").write_text("torn down again\n")
    write_manifest(run)
    assert failed(runs, tmp_path / "state")
    make_archive(runs, tmp_path / "state").seal(run)
    assert failed(runs, tmp_path / "state") == {}


def test_of_a_refused_run_only_the_hash_of_its_manifest_is_kept(runs: Path, tmp_path: Path) -> None:
    entry = make_archive(runs, tmp_path / "state").seal(make_run(runs, 9), refused="found 2 places")
    raw = (runs / ARCHIVE / STATEMENTS / f"{entry.name}.dsse.json").read_bytes()
    statement, _ = open_envelope(raw, operator_key(tmp_path / "state").public)
    assert [one.name for one in statement.subject] == [MANIFEST]
    assert (entry.kind, statement.predicate.package) == ("refused", None)
    assert failed(runs, tmp_path / "state") == {}


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    operator_key(tmp_path)
    (tmp_path / KEY).chmod(0o644)
    with pytest.raises(UsageError, match="read by others"):
        operator_key(tmp_path)


def test_a_package_follows_from_the_files_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path / "lab-x")
    names = [p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()]
    with (tmp_path / "one").open("wb") as one:
        write_package(run, names, one)
    for path in run.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    with (tmp_path / "two").open("wb") as two:
        write_package(run, reversed(names), two)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_target_without_runs_has_no_archive(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no archive there"):
        verify_files(tmp_path)
    assert isinstance(make_archive(tmp_path, tmp_path / "state"), Archive)
