"""What was achieved (D6): recovery time by phase, recovery point by commits, and the arithmetic
of what no drill measures. Pure.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chronos_ops.drill.workload import Commit, CommitRecord
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.settings import Settings
from chronos_ops.model.timing import Achieved, Objectives, Phase, stamp, utc_now

PHASES = (
    "detect", "provision", "preflight", "restore", "recovery", "promote", "first_write", "verify"
)  # fmt: skip


class PhaseClock:
    """Phases laid end to end from the fault on: their sum is the recovery time, no gap is lost."""

    def __init__(
        self,
        fault: float,
        fault_at: datetime,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fault = fault
        self.fault_at = fault_at
        self._clock = clock
        self._last = fault
        self.phases: list[Phase] = []

    @classmethod
    def now(cls) -> "PhaseClock":
        """A clock whose fault strikes now."""
        return cls(time.monotonic(), utc_now())

    def close(self, name: str, at: float | None = None) -> Phase:
        """The named phase ends now (or at a monotonic moment that was seen)."""
        end = self._clock() if at is None else at
        began = self.fault_at + timedelta(seconds=self._last - self.fault)
        phase = Phase(name=name, started_at=stamp(began), seconds=round(end - self._last, 3))
        self._last = end
        self.phases.append(phase)
        return phase

    def skip(self) -> None:
        """Time up to now is the drill's own and no recovery's: the next phase begins now."""
        self._last = self._clock()

    def now_monotonic(self) -> float:
        """Now, on this clock."""
        return self._clock()

    @property
    def ends(self) -> dict[str, float]:
        """Seconds from the fault to the end of each closed phase."""
        found: dict[str, float] = {}
        total = 0.0
        for phase in self.phases:
            total += phase.seconds
            found[phase.name] = round(total, 3)
        return found

    @property
    def elapsed(self) -> float:
        """Seconds from the fault to the end of the last closed phase."""
        return self._last - self.fault


@dataclass(frozen=True)
class Loss:
    """Promised commits held against recovered ones."""

    promised: int  # acknowledged before the fault (or before the target)
    recovered: int  # of those
    lost: tuple[Commit, ...]
    given_up: tuple[Commit, ...]  # acknowledged after the target: not asked back (PITR)
    unasked: tuple[int, ...]  # recovered though never acknowledged (in doubt)
    last_promised: Commit | None
    last_recovered: Commit | None

    @property
    def seconds(self) -> float | None:
        """Achieved recovery point: from the last recovered to the last promised commit.

        None if nothing was promised, or nothing came back (then it is not a number of seconds).
        """
        if self.last_promised is None or self.last_recovered is None:
            return None
        return round(max(0.0, self.last_promised.acked - self.last_recovered.acked), 3)


def account(record: CommitRecord, recovered: Iterable[int], target: float | None = None) -> Loss:
    """Hold the writer's record against the sequence numbers that came back.

    `target` (monotonic): where recovery was told to stop; what was begun after it is given up,
    what was on its way at that moment may be on either side.
    """
    there = set(recovered)
    promised = [c for c in record.acked if target is None or c.acked <= target]
    given_up = [c for c in record.acked if target is not None and c.acked > target]
    back = [c for c in promised if c.seq in there]
    return Loss(
        promised=len(promised),
        recovered=len(back),
        lost=tuple(c for c in promised if c.seq not in there),
        given_up=tuple(c for c in given_up if c.seq not in there),
        unasked=tuple(sorted(there - {c.seq for c in record.acked})),
        last_promised=max(promised, key=lambda c: c.acked, default=None),
        last_recovered=max(back, key=lambda c: c.acked, default=None),
    )


def judge_gap_free(record: CommitRecord, loss: Loss) -> Finding:
    """What is lost is the end alone, and nothing is there that nobody wrote (failure 15)."""
    last = loss.last_recovered
    holes = [c.seq for c in loss.lost if last is not None and c.seq < last.seq]
    sent = max((c.seq for c in record.acked), default=0) + 1  # one more may be on its way
    strangers = sorted(set(loss.unasked) - set(record.in_doubt) - {sent})
    seen = [f"missing in the middle: {ranges(holes)}"] if holes else []
    seen += [f"never written: {ranges(strangers)}"] if strangers else []
    return judge(
        "drill.loss.gap-free",
        "no acknowledged commit is missing before the last recovered one, and none is made up",
        passed=None if last is None else not seen,
        observed="; ".join(seen) or ("nothing came back" if last is None else f"up to {last.seq}"),
        expected="all up to the last recovered one, no others",
        hint="the restored database is wrong: do not use it, try the backup before",
        requirement="D6",
    )


def ranges(numbers: Iterable[int]) -> str:
    """Sequence numbers for people: `1201-1850, 1853`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}-{b}" if a != b else f"{a}" for a, b in runs) or "none"


def around_fault(
    record: CommitRecord, recovered: Iterable[int], fault: float, width: float = 1.0
) -> list[dict[str, Any]]:
    """Commits by second before the fault (negative) and after: acknowledged, and of those back."""
    there = set(recovered)
    found: dict[int, dict[str, Any]] = {}
    for commit in record.acked:
        slot = int((commit.acked - fault) // width)
        row = found.setdefault(slot, {"second": slot * width, "acknowledged": 0, "recovered": 0})
        row["acknowledged"] += 1
        row["recovered"] += commit.seq in there
    return [found[slot] for slot in sorted(found)]


def recovery_point_bound(settings: Settings, push_seconds: float) -> float:
    """Worst recovery point of this configuration: archive_timeout + push time (B8)."""
    return settings.backup.archive_timeout_seconds + push_seconds


def achieved(clock: PhaseClock, loss: Loss, *, pitr: bool) -> Achieved:
    """The result's figures; the recovery time is the later of first write and verified."""
    ends = clock.ends
    first_write, verified = ends.get("first_write"), ends.get("verify")
    done = first_write is not None and verified is not None
    return Achieved(
        recovery_time_seconds=max(first_write or 0.0, verified or 0.0) if done else None,
        first_write_seconds=first_write,
        verified_seconds=verified,
        recovery_point_seconds=loss.seconds,
        lost_commits=len(loss.lost),
        given_up_commits=len(loss.given_up) if pitr else None,
    )


def judge_objectives(found: Achieved, objectives: Objectives, bound: float | None) -> list[Finding]:
    """Objectives against what was achieved; not measured is unknown, never met."""
    time_, point = found.recovery_time_seconds, found.recovery_point_seconds
    findings = [
        judge(
            "drill.objective.recovery-time",
            "the database came back within the recovery time objective",
            passed=None if time_ is None else time_ <= objectives.recovery_time_seconds,
            observed="not measured" if time_ is None else f"{time_:.1f} s",
            expected=f"at most {objectives.recovery_time_seconds:g} s",
            hint="the table of phases says where the time went",
            requirement="D6",
        ),
        judge(
            "drill.objective.recovery-point",
            "no more was lost than the recovery point objective allows",
            passed=None if point is None else point <= objectives.recovery_point_seconds,
            observed="not measured" if point is None else f"{point:.1f} s",
            expected=f"at most {objectives.recovery_point_seconds:g} s",
            hint="a shorter archive_timeout, or streaming to another host (pg_receivewal)",
            requirement="D6",
        ),
    ]
    if bound is not None:
        findings.append(
            judge(
                "drill.recovery-point.bound",
                "the loss stays below archive_timeout + push time",
                passed=None if point is None else point <= bound,
                observed="not measured" if point is None else f"{point:.1f} s",
                expected=f"at most {bound:.1f} s",
                hint="archiving was behind: look at pg_stat_archiver and the pushes' log",
                requirement="D6",
            )
        )
    return findings


def arithmetic(
    settings: Settings,
    objectives: Objectives,
    found: Achieved,
    push_seconds: float,
    earlier: Sequence[float] = (),
) -> list[dict[str, Any]]:
    """Beside the measurement: what no drill measures, and what the worst would be.

    `earlier`: recovery points of former drills; of several the worst one counts.
    """
    drill = settings.drill
    measured = found.recovery_time_seconds
    whole = (
        None
        if measured is None
        else drill.alarm_worst_latency_seconds + drill.operator_response_seconds + measured
    )
    bound = recovery_point_bound(settings, push_seconds)

    points = [p for p in (*earlier, found.recovery_point_seconds) if p is not None]

    def row(what: str, seconds: float | None, kind: str) -> dict[str, Any]:
        shown = "not measured" if seconds is None else f"{seconds:.1f}"
        return {"what": what, "seconds": shown, "kind": kind}

    return [
        row("alarm, worst latency", drill.alarm_worst_latency_seconds, "declared"),
        row("operator's response", drill.operator_response_seconds, "declared"),
        row("achieved recovery time", measured, "measured"),
        row("recovery time with alarm and response", whole, "sum"),
        row("recovery time objective", objectives.recovery_time_seconds, "objective"),
        row("archive_timeout", settings.backup.archive_timeout_seconds, "configured"),
        row("push of one WAL segment", push_seconds, "measured"),
        row("worst recovery point", bound, "sum"),
        row("achieved recovery point", found.recovery_point_seconds, "measured"),
        row(f"worst achieved in {len(points)} drills", max(points, default=None), "measured"),
        row("recovery point objective", objectives.recovery_point_seconds, "objective"),
    ]
