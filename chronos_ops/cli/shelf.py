"""What lies in this checkout: runbooks, targets, runs. Found by looking, nothing is registered."""

import difflib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from chronos_ops.model.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Runbook:
    """A notebook and the one sentence that it promises."""

    name: str
    path: Path
    promise: str


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; a run that was killed outright has no result.json."""

    target: str
    run_id: str
    path: Path

    @property
    def result_file(self) -> Path:
        return self.path / "result.json"


def runbooks(root: Path = ROOT) -> list[Runbook]:
    """The runbooks by name."""
    return [
        Runbook(path.stem, path, _promise(path))
        for path in sorted((root / "notebooks").glob("*.ipynb"))
    ]


def targets(root: Path = ROOT) -> list[str]:
    """Names of the targets that have a parameter file here."""
    found = (path.stem for path in (root / "parameters").glob("*.yaml"))
    return sorted(name for name in found if not name.endswith(".example"))


def scenarios(root: Path = ROOT) -> list[str]:
    """Names of the drill's scenarios: each is one file of the registry."""
    files = (root / "chronos_ops/drill/scenarios").glob("[!_]*.py")
    return sorted(path.stem for path in files)


def check_scenario(name: str, root: Path = ROOT) -> None:
    """Raises UsageError with the nearest right name, before anything is booted for it."""
    known = scenarios(root)
    if name not in known:
        raise UsageError("unknown scenario", repr(name), hint=nearest(name, known))


def runs(root: Path = ROOT) -> list[RunFolder]:
    """All runs, the newest first (a run's journal is created when it begins)."""
    journals = sorted((root / "outputs").glob("*/*/journal.jsonl"), key=_begun, reverse=True)
    return [RunFolder(j.parent.parent.name, j.parent.name, j.parent) for j in journals]


def find_runbook(name: str, root: Path = ROOT) -> Runbook:
    """A runbook by name. Raises UsageError with the nearest right name."""
    known = {runbook.name: runbook for runbook in runbooks(root)}
    if name not in known:
        raise UsageError("unknown runbook", repr(name), hint=nearest(name, list(known)))
    return known[name]


def find_run(text: str, root: Path = ROOT) -> RunFolder:
    """A run by its id, an unambiguous beginning of it, or `latest`. Raises UsageError."""
    known = runs(root)
    if text == "latest":
        if not known:
            raise UsageError("there is no run yet", hint="./chronos drill makes the first two")
        return known[0]
    fitting = [run for run in known if run.run_id.startswith(text)] if text else []
    exact = [run for run in fitting if run.run_id == text]
    if exact or len(fitting) == 1:
        return (exact or fitting)[0]
    if fitting:
        shown = ", ".join(run.run_id for run in fitting[:5])
        raise UsageError("more than one run begins so", repr(text), hint=shown)
    raise UsageError("unknown run", repr(text), hint=nearest(text, [run.run_id for run in known]))


def nearest(name: str, known: list[str]) -> str:
    """A hint: the nearest right name, else all there are."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return "there are: " + ", ".join(known[:10]) if known else "there is none yet"


def _promise(path: Path) -> str:
    """The first sentence below the title of a notebook."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    except (OSError, ValueError, KeyError, StopIteration):
        return "(not a readable notebook)"
    blocks = [" ".join(block.split()) for block in text.split("\n\n")]
    prose = next((block for block in blocks if block and not block.startswith("#")), "")
    plain = prose.replace("**", "").replace("`", "").strip("*_ ").removeprefix("Promise:").strip()
    sentence = plain.split(". ")[0].rstrip(".")
    return sentence[:1].upper() + sentence[1:]


def _begun(journal: Path) -> float:
    """When a run began (seconds since 1970), by the first line of its journal."""
    try:
        with journal.open(encoding="utf-8") as lines:
            return datetime.fromisoformat(json.loads(lines.readline())["at"]).timestamp()
    except (ValueError, TypeError, KeyError):  # killed in the middle of its first line
        return journal.stat().st_mtime
