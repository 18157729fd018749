"""What is struck, and how it is mended again, as a person would."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from chronos_ops.lab import control
from chronos_ops.lab.places import places
from chronos_ops.lab.target import INSTANCE

ROOT = Path(__file__).resolve().parents[1]
MARK = "CHRONOS_KILLS"  # in the environment of all that this harness starts, and their children


@dataclass
class Scene:
    """A drill under way. `dice` is this kill's alone; `hit` says what was struck."""

    lab: str
    runs: Path  # the target's folder of runs
    process: "subprocess.Popen[bytes]"
    dice: Random
    log: Path
    folder: Path | None = None  # of the run, once it has one
    hit: str = ""
    mends: list[Callable[[], None]] = field(default_factory=list)

    def over(self) -> bool:
        return self.process.poll() is not None


class NothingHit(Exception):
    """The drill ended before there was something to strike."""


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "chronos_ops", *words]


def marked() -> dict[int, str]:
    """Processes that this harness started, and all that came of them: pid and command line."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}=".encode() in (path / "environ").read_bytes():
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if int(path.name) != os.getpid() and line:  # a zombie has none
                    found[int(path.name)] = line.strip()
        except OSError:
            continue
    return found


def _wait_for(scene: Scene, seen: Callable[[], bool]) -> None:
    """Until it is there to be struck. Raises NothingHit at the drill's end."""
    while not seen():
        if scene.over():
            raise NothingHit
        time.sleep(0.005)


def _kill(scene: Scene, pid: int, number: signal.Signals, noun: str) -> None:
    os.kill(pid, number)
    scene.hit = f"{noun}, pid {pid}, {number.name}"


def _runner(number: signal.Signals) -> Callable[[Scene], None]:
    return lambda scene: _kill(scene, scene.process.pid, number, "the runner")


def _process(word: str, noun: str) -> Callable[[Scene], None]:
    def strike(scene: Scene) -> None:
        def pids() -> list[int]:
            return [pid for pid, line in marked().items() if word in line]

        _wait_for(scene, lambda: bool(pids()))
        for pid in pids()[:1]:
            _kill(scene, pid, signal.SIGKILL, noun)

    return strike


def _everything(scene: Scene) -> None:
    """The operators' machine loses its power: runner, kernel and writer at once."""
    seen = marked()
    for pid in seen:
        os.kill(pid, signal.SIGKILL)
    scene.hit = f"{len(seen)} processes of the run at once"


def _at_a_line(scene: Scene) -> None:
    """All of the run at once, as soon as the journal has another line: before its deed."""

    def size() -> int:
        return (scene.folder / "journal.jsonl").stat().st_size if scene.folder else 0

    before = size()
    _wait_for(scene, lambda: size() != before)
    _everything(scene)
    scene.hit += ", just behind a new line of the journal"


def _once(name: str, number: signal.Signals, up_to: float) -> Callable[[Scene], None]:
    """The runner, some time after a step began."""

    def strike(scene: Scene) -> None:
        def begun() -> bool:
            return scene.folder is not None and (scene.folder / "steps" / f"{name}.json").exists()

        _wait_for(scene, begun)
        time.sleep(scene.dice.uniform(0, up_to))
        if scene.over():
            raise NothingHit
        _runner(number)(scene)
        scene.hit += f", after the step {name} was there"

    return strike


def _host(deed: str) -> Callable[[Scene], None]:
    """A drill host loses its power, or is deleted under the drill."""

    def strike(scene: Scene) -> None:
        def names() -> list[str]:
            return sorted(h["name"] for h in control.hosts(scene.lab) if h["name"] != INSTANCE)

        _wait_for(scene, lambda: bool(names()))
        name = scene.dice.choice(names())
        control.request(scene.lab, deed, name=name)
        scene.hit = f"host {name}: {deed}"

    return strike


def _declared(scene: Scene) -> None:
    control.request(scene.lab, "kill", name=INSTANCE)
    scene.hit = f"host {INSTANCE}: power failure"
    scene.mends.append(lambda: up(scene.lab))


def _daemon(number: signal.Signals) -> Callable[[Scene], None]:
    def strike(scene: Scene) -> None:
        pid = int(places(scene.lab).pid_file.read_text())
        _kill(scene, pid, number, "the lab's daemon")
        scene.mends.append(lambda: up(scene.lab))

    return strike


def _aws(scene: Scene) -> int:
    return int(control.request(scene.lab, "services")["aws"]["pid"])


def _aws_killed(scene: Scene) -> None:
    _kill(scene, _aws(scene), signal.SIGKILL, "the AWS")


def _aws_frozen(scene: Scene) -> None:
    seconds = scene.dice.uniform(3, 20)
    pid = _aws(scene)
    _kill(scene, pid, signal.SIGSTOP, "the AWS")
    scene.hit += f" for {seconds:.1f} s"
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


def _link(scene: Scene) -> None:
    bridge, seconds = places(scene.lab).bridge, scene.dice.uniform(2, 15)
    kept = Path(f"/proc/sys/net/ipv6/conf/{bridge}/keep_addr_on_down")
    if kept.exists():
        kept.write_text("1")
    scene.hit = f"the link {bridge} down for {seconds:.1f} s"
    subprocess.run(["ip", "link", "set", bridge, "down"], check=True)
    try:
        time.sleep(seconds)
    finally:
        subprocess.run(["ip", "link", "set", bridge, "up"], check=True)


def _again(next_start: list[str], up_to: float) -> Callable[[Scene], None]:
    """The runner, and then what comes to tear it down."""

    def strike(scene: Scene) -> None:
        _runner(signal.SIGKILL)(scene)
        scene.process.wait()
        seconds = scene.dice.uniform(0.3, up_to)
        with scene.log.open("ab") as log, subprocess.Popen(
            [word.format(lab=scene.lab) for word in next_start],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT,
            env={**os.environ, MARK: "again"},
        ) as second:  # fmt: skip
            time.sleep(seconds)
            second.kill()
        scene.hit += f"; then `{next_start[3]}` {seconds:.1f} s after it began"

    return strike


_NEXT_RUN = ["run", "disaster_recovery", "--target", "{lab}", "--approve", "{lab}"]
STRIKES: dict[str, Callable[[Scene], None]] = {
    "runner-kill": _runner(signal.SIGKILL),
    "runner-term": _runner(signal.SIGTERM),
    "kernel": _process("ipykernel_launcher", "the kernel"),
    "writer": _process("chronos_ops.drill.workload", "the outside writer"),
    "host-power": _host("kill"),
    "host-deleted": _host("delete"),
    "db": _declared,
    "daemon-kill": _daemon(signal.SIGKILL),
    "daemon-term": _daemon(signal.SIGTERM),
    "aws-kill": _aws_killed,
    "aws-freeze": _aws_frozen,
    "link": _link,
    "machine": _everything,
    "line": _at_a_line,
    "teardown": _once("stop", signal.SIGKILL, 3),
    "seal": _once("verdict", signal.SIGKILL, 6),
    "run-twice": _again(command(*_NEXT_RUN), 8),
    "reap-killed": _again(command("reap", "--target", "{lab}"), 3),
    "runner-int": _runner(signal.SIGINT),
}


def up(lab: str) -> None:
    """`./chronos lab up`, as a person brings it back."""
    done = subprocess.run(
        command("lab", "up", "--name", lab),
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"lab up: exit {done.returncode}\n{done.stdout}{done.stderr}")


def draws(seed: int, count: int) -> Iterator[tuple[int, str, float, Random]]:
    """(number, what is struck, when as a part of a whole drill, its own dice), from the seed.

    Each moment lies in a slice of its own, so that every step is struck; kinds take turns.
    """
    dice = Random(seed)  # noqa: S311 - moments, not secrets
    slices = [(number + dice.random()) / count for number in range(count)]
    dice.shuffle(slices)
    kinds: list[str] = []
    while len(kinds) < count:
        turn = list(STRIKES)
        dice.shuffle(turn)
        kinds += turn
    for number, (kind, moment) in enumerate(zip(kinds, slices, strict=False), 1):
        yield number, kind, moment, Random(f"{seed}-{number}")  # noqa: S311
