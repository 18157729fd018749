"""Passes: each runs every step on its own names; one that breaks is told, the next still runs."""

from pathlib import Path
from typing import Any, cast

import pytest

from chronos_ops.drill.passes import repeats
from chronos_ops.drill.scenario import Scenario
from chronos_ops.drill.state import Drill
from chronos_ops.evidence.journal import FileJournal, read_journal
from chronos_ops.execution.context import Context
from chronos_ops.execution.hosts import host_name
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.timing import Achieved
from tests.drill.test_restore import settings

RUN = "20261122T214503Z-drill-1f00ba"


class Rehearsal(Scenario):
    """Notes what it was called with; breaks where it is told to."""

    id = "rehearsal"
    title = "nothing is lost"
    mode = "synthetic"

    def __init__(self, breaks: str = "", bad: str = "") -> None:
        self.calls: list[tuple[str, str, float]] = []
        self.breaks = breaks
        self.bad = bad

    def _note(self, context: Context, step: str) -> Outcome:
        rate = cast(Any, context.parameters).commits_per_second
        self.calls.append((context.part, step, rate))
        if f"{context.part}:{step}" == self.breaks:
            raise ChronosError("the disk is full", step)
        return Outcome(summary=step)

    def check_target(self, context: Context, drill: Drill, asked: RecoveryTarget) -> Outcome:
        return self._note(context, "check_target")

    def inject_fault(self, context: Context, drill: Drill) -> Outcome:
        return self._note(context, "inject_fault")

    def provision_drill_host(self, context: Context, drill: Drill) -> Outcome:
        return self._note(context, "provision_drill_host")

    def restore(self, context: Context, drill: Drill) -> Outcome:
        (context.logs / "restore.log").write_text(context.part)
        return self._note(context, "restore")

    def recover(self, context: Context, drill: Drill) -> Outcome:
        return self._note(context, "recover")

    def first_write(self, context: Context, drill: Drill) -> Outcome:
        return self._note(context, "first_write")

    def verify(self, context: Context, drill: Drill) -> Outcome:
        finding = judge("drill.integrity.amcheck", "t", passed=self.bad != context.part,
                        observed="o", expected="e")  # fmt: skip
        return self._note(context, "verify").model_copy(update={"findings": [finding]})

    def account(self, context: Context, drill: Drill) -> Outcome:
        figures = Achieved(recovery_time_seconds=30.0, recovery_point_seconds=2.0, lost_commits=4)
        measures = {"recovery_point_bound_seconds": 60.4, "fault_offset_seconds": 33.0}
        return self._note(context, "account").model_copy(
            update={"achieved": figures, "measures": measures}
        )


def context(folder: Path, **values: Any) -> Context:
    (folder / RUN).mkdir()
    return Context(
        RUN,
        folder / RUN,
        settings(),
        parse_parameters("disaster_recovery", values),
        FileJournal(folder / RUN),
        cast(Any, None),
        cast(Any, None),
    )


def told(outcome: Outcome) -> dict[str, Finding]:
    return {f.id.removeprefix("drill.distribution."): f for f in outcome.findings}


class Anew:
    """Counts how often what was made before had to go."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, context: Context) -> Drill:
        self.times += 1
        return Drill()


def test_one_pass_is_told_to_be_one_and_makes_nothing(tmp_path: Path) -> None:
    anew, scenario = Anew(), Rehearsal()
    outcome = repeats(context(tmp_path), scenario, anew)
    assert (anew.times, scenario.calls, outcome.findings) == (0, [], [])
    assert "anecdote" in outcome.summary
    assert len(outcome.measures["passes"]) == 1


def test_each_pass_is_whole_with_its_own_names_and_the_rate_takes_turns(tmp_path: Path) -> None:
    anew, scenario = Anew(), Rehearsal()
    own = context(tmp_path, repeat=4, commits_per_second=7.0)
    outcome = repeats(own, scenario, anew)
    assert anew.times == 3
    assert [(part, rate) for part, step, rate in scenario.calls if step == "account"] == [
        ("p2", 1.0),
        ("p3", 0.0),
        ("p4", 1.0),
    ]
    steps = [step for part, step, _ in scenario.calls if part == "p3"]
    assert steps == [step for part, step, _ in scenario.calls if part == "p4"]
    assert steps[0] == "check_target"
    assert [row["rate"] for row in outcome.measures["passes"]] == [7.0, 1.0, 0.0, 1.0]
    assert (own.folder / "logs/p2/restore.log").read_text() == "p2"
    notes = [event.data["number"] for event in read_journal(own.folder) if event.name == "pass"]
    assert notes == [2, 3, 4]  # on disk pass by pass: a kill loses none of them
    # the first pass has left no record here, so it was not measured
    assert told(outcome)["complete"].status is Status.FAIL
    assert told(outcome)["pass-4"].status is Status.PASS


def test_a_pass_that_breaks_is_told_and_the_next_one_runs(tmp_path: Path) -> None:
    scenario = Rehearsal(breaks="p2:restore")
    outcome = repeats(context(tmp_path, repeat=3), scenario, Anew())
    found = told(outcome)
    assert found["pass-2"].status is Status.FAIL
    assert "restore: ChronosError: the disk is full" in found["pass-2"].observed
    assert found["pass-3"].status is Status.PASS
    assert found["recovery-time"].status is Status.UNKNOWN


def test_a_bad_finding_of_a_pass_is_one_of_the_run(tmp_path: Path) -> None:
    found = told(repeats(context(tmp_path, repeat=3), Rehearsal(bad="p3"), Anew()))
    assert found["pass-2"].status is Status.PASS
    assert found["pass-3"].status is Status.FAIL
    assert "drill.integrity.amcheck" in found["pass-3"].observed


def test_what_cannot_be_removed_is_told_by_the_passes_that_it_stopped(tmp_path: Path) -> None:
    def stuck(_context: Context) -> Drill:
        raise ChronosError("the teardown is not complete", "lightsail:instance/x")

    scenario = Rehearsal()
    found = told(repeats(context(tmp_path, repeat=3), scenario, stuck))
    assert scenario.calls == []
    assert "removal of the pass before" in found["pass-3"].observed
    assert found["complete"].status is Status.FAIL


def test_a_bug_is_not_taken_for_a_pass_that_failed(tmp_path: Path) -> None:
    class Buggy(Rehearsal):
        def detect(self, context: Context, drill: Drill) -> Outcome:
            raise KeyError("seq")

    with pytest.raises(KeyError):
        repeats(context(tmp_path, repeat=2), Buggy(), Anew())


def test_what_a_part_makes_carries_run_and_part(tmp_path: Path) -> None:
    own = context(tmp_path)
    assert host_name(own, "primary").endswith("-primary-1f00ba")
    own.part = "p2"
    assert host_name(own, "primary").endswith("-primary-1f00bap2")
    assert own.own_name.startswith(RUN)  # the undo's guard looks for the run's id in it
