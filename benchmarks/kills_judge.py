"""What a kill must not bring about: a verdict that is not true, and something left behind."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

Inventory = dict[str, list[str]]
GOOD = ("ok",)
# For the next start, which takes it away; a runner that is not killed does so itself, at its end.
NOTE = ".kernel"
ENDED = ("passed", "deviated")  # said with the manifest: who is killed after that was not cut off


@dataclass(frozen=True)
class Claimed:
    """What a run's folder says of it. `exit_status` of its process: below 0 a signal."""

    verdict: str  # of result.json; empty: there is none
    exit_status: int
    missing: tuple[str, ...]  # cells without the record of a step that is ok
    wrong: tuple[str, ...]  # files that are not as the manifest says; "no manifest"


def read_claim(folder: Path, cells: list[str], exit_status: int) -> Claimed:
    """Read with nothing but json and sha256."""
    try:
        verdict = str(json.loads((folder / "result.json").read_text())["verdict"])
    except FileNotFoundError:
        verdict = ""
    except (ValueError, KeyError):
        verdict = "unreadable"
    missing = [cell for cell in cells if _status(folder / "steps" / f"{cell}.json") not in GOOD]
    return Claimed(verdict, exit_status, tuple(missing), tuple(_wrong(folder)))


def _status(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["status"])
    except (OSError, ValueError, KeyError):
        return "no record"


def _wrong(folder: Path) -> list[str]:
    try:
        files = json.loads((folder / "manifest.json").read_text())["files"]
    except FileNotFoundError:
        return ["no manifest"]
    except (ValueError, KeyError):
        return ["unreadable manifest"]
    listed = {entry["path"]: entry["sha256"] for entry in files}
    seen = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
    seen.pop("manifest.json")
    seen.pop(NOTE, None)
    return sorted(name for name in {*listed, *seen} if listed.get(name) != seen.get(name))


def lies(claim: Claimed, left: Inventory) -> list[str]:
    """Of a run as it ended, before anybody came after it. `left`: what was there of it then."""
    if claim.verdict == "deviated" and claim.wrong:
        return [f"deviated, but not as its manifest says: {', '.join(claim.wrong)}"]
    if claim.verdict != "passed":
        return [f"exit 0, but the verdict is {claim.verdict!r}"] if not claim.exit_status else []
    found = []
    if claim.exit_status > 0:
        found.append(f"passed, but the exit status is {claim.exit_status}")
    if claim.missing:
        found.append(f"passed without the steps {', '.join(claim.missing)}")
    if claim.wrong:
        found.append(f"passed, but not as its manifest says: {', '.join(claim.wrong)}")
    there = [(kind, x) for kind, xs in left.items() for x in xs if not x.endswith(f"/{NOTE}")]
    return found + [f"passed, but there is {kind} {x}" for kind, x in there]


def not_sealed(claim: Claimed, interrupted: bool) -> list[str]:
    """Of a run, once the next start has looked after it."""
    found = []
    if claim.wrong:
        found.append(f"evidence that is not whole: {', '.join(claim.wrong)}")
    if not claim.verdict:
        found.append("no verdict")
    if interrupted and claim.verdict not in ("aborted", "failed", "unknown"):
        found.append(f"interrupted, but the verdict is {claim.verdict}")
    return found


def left_over(before: Inventory, now: Inventory) -> Inventory:
    """What is there and was not before, and what is gone, by kind."""
    found: Inventory = {}
    for kind in sorted({*before, *now}):
        was, there = Counter(before.get(kind, ())), Counter(now.get(kind, ()))
        more = sorted((there - was).elements())
        gone = [f"gone: {name}" for name in sorted((was - there).elements())]
        if more or gone:
            found[kind] = more + gone
    return found
