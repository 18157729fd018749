"""The README's section `Verify without us`: its commands, run as they stand there (R4)."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from chronos_ops.evidence.archive import ARCHIVE
from chronos_ops.evidence.chain import INDEX, PUBLIC_KEY, STATEMENTS
from chronos_ops.evidence.manifest import write_manifest
from tests.evidence.archived_runs import make_archive, make_run

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def commands() -> str:
    section = README.read_text().split("## Verify without us\n", 1)[1].split("\n## ", 1)[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert "python" not in block
    assert "chronos" not in block
    return str(block)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Five entries: four runs, one of them sealed twice, one refused; a healed line."""
    folder = tmp_path / "outputs/lab-x"
    archive = make_archive(folder, tmp_path / "state")
    for number in (1, 2, 3):
        archive.seal(make_run(folder, number))
    again = min(folder.glob("2*"))
    (again / "journal.jsonl").write_text("torn down again\n")
    write_manifest(again)
    archive.seal(again)
    archive.seal(make_run(folder, 4), refused="the secret gate found 1 places")
    with (folder / ARCHIVE / INDEX).open("a") as index:
        index.write('{"seq":')
    archive.chain.mend()
    return folder


def follow(commands: str, runs: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["sh"], input=commands, cwd=runs, capture_output=True, text=True)


def test_the_commands_verify_an_archive(commands: str, runs: Path, tmp_path: Path) -> None:
    done = follow(commands, runs)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    key = make_archive(runs, tmp_path / "state").key
    assert said[0].split()[0] == key.fingerprint
    assert said[1].startswith("6 lines, the last is ")
    assert said[2] == "verified"


def _lines(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def do(runs: Path) -> None:
        index = runs / ARCHIVE / INDEX
        index.write_text("".join(change(index.read_text().splitlines(keepends=True))))

    return do


def _change(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


def _other_key(runs: Path) -> None:
    other = make_archive(runs.parent / "other", runs.parent / "other-state").key
    (runs / ARCHIVE / PUBLIC_KEY).write_bytes(other.public.pem)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a changed byte": lambda runs: _change(min(runs.glob("2*")) / "executed.html"),
    "a removed file": lambda runs: (min(runs.glob("2*")) / "result.json").unlink(),
    "an added file": lambda runs: (min(runs.glob("2*")) / "more").touch(),
    "a changed manifest": lambda runs: _change(min(runs.glob("2*")) / "manifest.json"),
    "a removed line": _lines(lambda lines: lines[:1] + lines[2:]),
    "a reordered line": _lines(lambda lines: [lines[1], lines[0], *lines[2:]]),
    "a cut off line": _lines(lambda lines: lines[:-1]),
    "a changed verdict": _lines(lambda lines: [lines[0].replace("passed", "failed"), *lines[1:]]),
    "a changed statement": lambda runs: _change(min((runs / ARCHIVE / STATEMENTS).iterdir())),
    "a removed statement": lambda runs: min((runs / ARCHIVE / STATEMENTS).iterdir()).unlink(),
    "another key": _other_key,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_commands_see_damage(commands: str, runs: Path, damage: str) -> None:
    DAMAGE[damage](runs)
    done = follow(commands, runs)
    assert done.returncode != 0
    assert "verified" not in done.stdout
