"""One run for each slot: a file that only one process can make, and who made it (R2).

A claim whose process is gone without an end is stale: what its run did is not known, so neither
it nor a later slot is run on that target before `chronos reap` has looked (failure 28).
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from chronos_ops.model.errors import ChronosError, Refused, UsageError
from chronos_ops.schedule.process import Process, this_process

CLAIMS = ".claims"
_RESULT = "result.json"
ABORTED = "aborted"


class NeedsHuman(ChronosError):
    """A slot's run is gone without a verdict: not known (exit 3)."""

    exit_status = 3


class Taken(Exception):
    """Another process has this slot: not an error, nothing is to be done."""


@dataclass(frozen=True)
class Claim:
    """`end`: a verdict, or why nothing was run; empty while it is not known."""

    runbook: str
    slot: str  # 20261122T020000Z
    process: Process
    run_id: str = ""
    end: str = ""


class Claims:
    """Those of one target; `folder` is the target's folder of runs. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self._runs = folder
        self._folder = folder / CLAIMS

    def all(self) -> list[Claim]:
        """The oldest first. Raises UsageError: a file that is none of ours."""
        return [self._read(path) for path in sorted(self._folder.glob("*.json"))]

    def state(self, claim: Claim) -> str:
        """Its end, `running`, or `unknown, needs a human`. A run's own record counts first."""
        alive = claim.process.alive()
        claim = self._read(self._path(claim))  # after that look: it may have ended meanwhile
        try:
            result = json.loads((self._runs / (claim.run_id or "-") / _RESULT).read_text())
            return str(result["verdict"])
        except (OSError, ValueError, KeyError):
            pass
        if claim.end:
            return claim.end
        return "running" if alive else "unknown, needs a human"

    def stale(self) -> list[Claim]:
        return [claim for claim in self.all() if self.state(claim).startswith("unknown, needs")]

    def free(self) -> list[str]:
        """After the runs were sealed: end the stale claims; those whose run has no verdict stay."""
        freed = []
        for claim in self.stale():
            if not claim.run_id or not (self._runs / claim.run_id).exists():
                self._write(replace(claim, end=f"{ABORTED}: killed before its run began"))
                freed.append(_name(claim))
        for draft in self._folder.glob(".*.*"):
            if not Path("/proc", draft.suffix[1:]).exists():  # killed before it became a claim
                draft.unlink(missing_ok=True)
        return freed

    @contextmanager
    def claimed(self, runbook: str, slot: datetime) -> Iterator["Held"]:
        """The slot's only run. Raises Taken, NeedsHuman; a refusal inside is the claim's end."""
        mine = Claim(runbook, f"{slot:%Y%m%dT%H%M%SZ}", this_process())
        if stale := self.stale():
            raise NeedsHuman(
                "a scheduled run is gone without a verdict",
                ", ".join(f"{_name(claim)} {claim.run_id}".strip() for claim in stale),
                hint=f"look at the target, then `./chronos reap --target {self._runs.name}`",
            )
        self._make(mine)
        held = Held(self._write, mine)
        try:
            yield held
        except (Refused, UsageError) as error:  # whatever else: what was touched is not known
            held.end(f"not run: {error.noun}")
            raise

    def _make(self, claim: Claim) -> None:
        """Whole and at once: a link to a finished file fails where the name is taken."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._draft(claim)
        try:
            os.link(draft, self._path(claim))
        except FileExistsError:
            other = self._read(self._path(claim))
            words = f"pid {other.process.pid}, {self.state(other)} {other.run_id}".strip()
            raise Taken(f"the slot {_name(claim)} is taken: {words}") from None
        finally:
            draft.unlink()

    def _write(self, claim: Claim) -> None:
        self._draft(claim).replace(self._path(claim))

    def _draft(self, claim: Claim) -> Path:
        path = self._folder / f".{_name(claim)}.{os.getpid()}"
        with path.open("w", encoding="utf-8") as file:
            json.dump(asdict(claim), file)
            file.flush()
            os.fsync(file.fileno())
        return path

    def _path(self, claim: Claim) -> Path:
        return self._folder / f"{_name(claim)}.json"

    @staticmethod
    def _read(path: Path) -> Claim:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return Claim(**{**data, "process": Process(**data["process"])})
        except (ValueError, TypeError, KeyError):
            raise UsageError("not a claim of chronos", path) from None


class Held:
    """The claim of this process, while its run goes on."""

    def __init__(self, write: Callable[[Claim], None], claim: Claim) -> None:
        self._write, self._claim = write, claim

    def begun(self, run_id: str) -> None:
        self._claim = replace(self._claim, run_id=run_id)
        self._write(self._claim)

    def end(self, verdict: str) -> None:
        self._claim = replace(self._claim, end=verdict)
        self._write(self._claim)


def _name(claim: Claim) -> str:
    return f"{claim.slot}-{claim.runbook}"
