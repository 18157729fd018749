"""Random kills of drills: never a pass that is not true, nothing left after the next start.

From a seed: a drill on a lab that is up, something struck at a moment drawn over its whole length,
its end awaited, the lab mended as a person would, then the next start (`reap`, or another drill
that must pass). What is claimed and what is left is looked at from outside after each. Exit 1 if
anything was not true or left. `--from K` and `--only K` repeat a kill of the same seed.

    ./chronos lab up --name lab-kills
    .venv/bin/python benchmarks/kills.py --target lab-kills --kills 38
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.kills_judge import ENDED, Inventory, left_over, lies, not_sealed, read_claim
from benchmarks.kills_looks import inventory, steady
from benchmarks.kills_strikes import MARK, ROOT, STRIKES, NothingHit, Scene, command, draws, up
from chronos_ops.evidence.journal import read_journal
from chronos_ops.lab.places import places
from chronos_ops.lab.target import parameters_file
from chronos_ops.model.settings import Settings, load_settings

END_SECONDS = 900.0  # a struck drill ends by itself within this, or it hangs
SCENARIOS = ("instance_lost", "instance_lost", "table_dropped", "production_proof")
_DRILLS_NEXT = 0.15  # of the next starts; the others are `chronos reap`
_KEPT = ("seconds", "begins", "before", "steady")  # of a control drill, for `--from`
CONTROL = "control.json"
RECORDING = {"setup", "step", "chart", "always", "verdict"}


@dataclass
class Kill:
    """One line of the table."""

    seed: int
    number: int
    kind: str
    scenario: str
    moment: float  # drawn, seconds
    struck_at: float = -1  # seconds after the drill's start
    hit: str = ""
    step: str = ""  # the last that the journal or a record showed
    run: str = ""
    exit_status: int | None = None
    verdict: str = ""
    sealed: str = ""
    next_start: str = ""
    clean_seconds: float = -1  # from the end of the struck drill to the end of the next start
    untrue: list[str] = field(default_factory=list)
    left: Inventory = field(default_factory=dict)
    harmed: list[str] = field(default_factory=list)

    def bad(self) -> list[str]:
        """All that must not be."""
        return [*self.untrue, *self.harmed, *(f"{kind}: {x}" for kind, x in self.left.items())]


class Harness:
    """A target whose lab is up, what it looked like before, and how long a drill takes on it."""

    def __init__(self, settings: Settings, seed: int, log: Path) -> None:
        self.settings, self.seed, self.log = settings, seed, log
        self.runs = ROOT / "outputs" / settings.target
        notebook = json.loads((ROOT / "notebooks/disaster_recovery.ipynb").read_text())
        self.cells = [
            c["id"] for c in notebook["cells"] if RECORDING & {*c["metadata"].get("tags", ())}
        ]
        self.seconds = 0.0
        self.begins: list[tuple[float, str]] = []  # when which step began in the control drill

    def control(self, scenario: str) -> None:
        """A drill that nothing strikes must pass; what is there after it is what may be there."""
        started = time.monotonic()
        process = self._start(scenario)
        status = process.wait(END_SECONDS)
        if status:
            raise SystemExit(f"the control drill ended with exit {status}: see {self.log}")
        self.seconds = time.monotonic() - started
        self.begins = _begins(max(self.runs.glob("2*-drill-*")), self.seconds)
        self.before = inventory(self.settings, self.runs)
        self.steady = steady(self.settings)
        print(f"control drill: {self.seconds:.0f} s, passed", flush=True)
        kept = {name: getattr(self, name) for name in _KEPT}
        self.log.with_name(CONTROL).write_text(json.dumps(kept))

    def resume(self) -> None:
        """With what the last control drill measured and saw."""
        kept = json.loads(self.log.with_name(CONTROL).read_text())
        for name in _KEPT:
            setattr(self, name, kept[name])
        self.begins = [(at, name) for at, name in self.begins]

    def _start(self, scenario: str) -> "subprocess.Popen[bytes]":
        name = self.settings.target
        given = {"scenario": scenario, "sample_megabytes": 1, "fault_offset_seconds": 1}
        words = command("run", "disaster_recovery", "--target", name, "--approve", name)
        for key, value in given.items():
            words += ["-p", f"{key}={value}"]
        return self._launch(words)

    def _launch(self, words: list[str]) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            log.write(f"\n--- {' '.join(words[3:])}\n".encode())
            log.flush()
            return subprocess.Popen(
                words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, MARK: str(self.seed)},
            )  # fmt: skip

    def kill(self, number: int, kind: str, part: float, dice: Random) -> Kill:
        """One kill, judged. A drill that was over too early is drilled again, struck earlier."""
        for attempt in range(4):
            moment = part * self.seconds * 0.8**attempt
            kill = Kill(self.seed, number, kind, dice.choice(SCENARIOS), round(moment, 2))
            if self._strike(kill, dice):
                break
        self._next_start(kill, dice)
        return kill

    def _strike(self, kill: Kill, dice: Random) -> bool:
        known = set(self.runs.glob("2*"))
        started = time.monotonic()
        scene = Scene(self.settings.target, self.runs, self._start(kill.scenario), dice, self.log)
        self._wait_for_moment(kill, scene, known)
        try:
            if scene.over():
                raise NothingHit
            STRIKES[kill.kind](scene)
        except (NothingHit, ProcessLookupError):
            kill.hit = "nothing: the drill had ended"
        else:
            kill.hit = scene.hit
        kill.struck_at = round(time.monotonic() - started, 2)
        kill.step = _step_of(scene.folder)
        try:
            kill.exit_status = scene.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            kill.untrue.append(f"the drill hangs: no end within {END_SECONDS:.0f} s")
            scene.process.kill()
            kill.exit_status = scene.process.wait()
        self._ended(kill, scene)
        return bool(scene.hit)

    def _wait_for_moment(self, kill: Kill, scene: Scene, known: set[Path]) -> None:
        """In the same step as in the control drill, as far into it: hosts may be busier now."""
        after, step = max(one for one in self.begins if one[0] <= kill.moment)
        names = [name for _, name in self.begins]
        behind = dict(pairwise(names)).get(step, "")
        began: float | None = None if step else time.monotonic()
        while not scene.over():
            scene.folder = next(iter(set(self.runs.glob("2*-drill-*")) - known), None)
            there = {p.stem for p in scene.folder.glob("steps/*.json")} if scene.folder else set()
            if began is None and (step in there or behind in there):
                began = time.monotonic()
            late = began is not None and time.monotonic() - began >= kill.moment - after
            if late or behind in there:
                return
            time.sleep(0.02)

    def _ended(self, kill: Kill, scene: Scene) -> None:
        folder = scene.folder
        claim = read_claim(folder, self.cells, kill.exit_status or 0) if folder else None
        if claim:
            kill.run, kill.verdict = folder.name if folder else "", claim.verdict
        for mend in scene.mends:
            mend()
        if scene.mends and self.settings.drill.from_snapshot:
            declare_snapshot(self.settings.target, self.settings.drill.from_snapshot)
        if claim:
            passed = claim.verdict == "passed"
            left = left_over(self.before, inventory(self.settings, self.runs)) if passed else {}
            kill.untrue += lies(claim, left)
            before_fault = kill.step in ("start-writer", "baseline-backup")
            if passed and kill.kind == "writer" and before_fault:
                kill.untrue.append("passed, but its writer was dead before the fault")

    def _next_start(self, kill: Kill, dice: Random) -> None:
        target = self.settings.target
        began = time.monotonic()
        drill = dice.random() < _DRILLS_NEXT
        words = command("reap", "--target", target)
        process = self._start("instance_lost") if drill else self._launch(words)
        status = process.wait(END_SECONDS)
        kill.next_start = f"{'drill' if drill else 'reap'}: exit {status}"
        kill.clean_seconds = round(time.monotonic() - began, 1)
        if status:
            kill.untrue.append(f"the next start failed: {kill.next_start}")
        kill.left = left_over(self.before, inventory(self.settings, self.runs))
        now = steady(self.settings)
        kill.harmed = [f"{k}: {v} became {now[k]}" for k, v in self.steady.items() if now[k] != v]
        for folder in sorted(self.runs.glob("2*")):
            claim = read_claim(folder, self.cells, 0)
            interrupted = folder.name == kill.run and (kill.exit_status or 0) < 0
            interrupted = interrupted and kill.verdict not in ENDED
            kill.untrue += [f"{folder.name}: {x}" for x in not_sealed(claim, interrupted)]
            if folder.name == kill.run:
                kill.sealed = claim.verdict


def _begins(folder: Path, seconds: float) -> list[tuple[float, str]]:
    """When the record of each step was there, in seconds after the start; the first is nameless."""
    records = sorted((p.stat().st_mtime, p.stem) for p in folder.glob("steps/*.json"))
    end = (folder / "manifest.json").stat().st_mtime
    return [(0.0, ""), *((seconds - (end - at), name) for at, name in records)]


def _step_of(folder: Path | None) -> str:
    """The last step that began, as the run's records show it."""
    if folder is None:
        return "before the run's folder"
    records = sorted((folder / "steps").glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
    events = read_journal(folder)
    last = records[-1].stem if records else "kernel start"
    opened = [e.name for e in events[-1:]]
    return f"{last} ({', '.join(opened)[:60]})" if opened else last


def declare_snapshot(lab: str, name: str) -> None:
    """`lab up` writes a parameter file without it."""
    path = parameters_file(places(lab))
    data = yaml.safe_load(path.read_text())
    data["drill"]["from_snapshot"] = name
    path.write_text(yaml.safe_dump(data))


def line_of(kill: Kill) -> str:
    """A kill for the terminal."""
    bad = "; ".join(kill.bad())
    return (
        f"{kill.number:3} {kill.kind:12} {kill.struck_at:6.1f} s {kill.step:40.40} "
        f"{kill.verdict:8} -> {kill.sealed:8} {kill.next_start:15} {kill.clean_seconds:6.1f} s  "
        + (f"NOT TRUE OR LEFT: {bad}" if bad else "ok")
    )


def told(file: Path) -> list[Kill]:
    """All kills so far; of one that was repeated, the last."""
    kills = (Kill(**json.loads(line)) for line in file.read_text().splitlines())
    return sorted({kill.number: kill for kill in kills}.values(), key=lambda kill: kill.number)


def markdown(kills: list[Kill], seconds: float) -> str:
    """The table, and its sums."""
    rows = [
        "| kill | what | at | step | hit | ended | sealed | next | clean | not true | left |",
        "|" + "---|" * 11,
    ]
    for k in kills:
        left = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in k.left.items())
        cells = [
            k.number, f"{k.kind}, {k.scenario}", f"{k.struck_at:.1f} s", k.step, k.hit,
            f"{k.verdict or 'no verdict'}, exit {k.exit_status}", k.sealed, k.next_start,
            f"{k.clean_seconds:.0f} s", "; ".join(k.untrue + k.harmed) or "-", left or "-",
        ]  # fmt: skip
        rows.append("| " + " | ".join(str(c).replace("|", "/") for c in cells) + " |")
    seed = kills[0].seed if kills else "-"
    lied = sum(bool(k.untrue or k.harmed) for k in kills)
    head = (
        f"Seed {seed}: {len(kills)} kills, a whole drill takes {seconds:.0f} s. "
        f"Not true: {lied}. Something left: {sum(bool(k.left) for k in kills)}.\n\n"
    )
    return head + "\n".join(rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--target", required=True, help="a lab of this machine that is up")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--kills", type=int, default=38, help="drawn from the seed")
    parser.add_argument("--from", type=int, default=1, dest="first", help="resume at this one")
    parser.add_argument("--only", type=int, nargs="*", help="these of the drawn ones")
    parser.add_argument("--snapshot", help="of the lab: what drill hosts are made of")
    parser.add_argument("--out", type=Path, default=Path("/tmp/kills"))  # noqa: S108 - no secret
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    up(given.target)
    if given.snapshot:
        declare_snapshot(given.target, given.snapshot)
    harness = Harness(load_settings(given.target), given.seed, given.out / "drills.log")
    known = harness.log.with_name(CONTROL).is_file()
    if known and (given.first > 1 or given.only):
        harness.resume()
    else:
        if "chronos_marker" not in steady(harness.settings)["databases"]:
            harness.control("production_proof")  # its marker's database stays, once and for all
        harness.control("instance_lost")
    for number, kind, part, dice in draws(given.seed, given.kills):
        if number < given.first or (given.only and number not in given.only):
            continue
        kill = harness.kill(number, kind, part, dice)
        print(line_of(kill), flush=True)
        with (given.out / "kills.jsonl").open("a") as file:
            file.write(json.dumps(asdict(kill)) + "\n")
        kills = told(given.out / "kills.jsonl")
        (given.out / "kills.md").write_text(markdown(kills, harness.seconds))
    harness.control("instance_lost")  # and after all of them
    print(markdown(kills, harness.seconds).partition("\n")[0])
    return int(any(k.bad() for k in kills))


if __name__ == "__main__":
    raise SystemExit(main())
