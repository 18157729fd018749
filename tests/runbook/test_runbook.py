"""What a notebook's cells do, without a kernel: stages, steps, consent, dry run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors.aws import Aws
from chronos_ops.connectors.ssh import Ssh, SshAddress
from chronos_ops.evidence.folder import make_folder
from chronos_ops.evidence.journal import read_journal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.steps import StepRecord, read_steps
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import (
    ChronosError,
    Deviated,
    Refused,
    Rule,
    TransportError,
    UnfitTarget,
    UsageError,
)
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.plan import Change, Effect, Plan
from chronos_ops.model.question import ShellAnswer
from chronos_ops.model.result import Verdict
from chronos_ops.model.stage import Stage
from chronos_ops.runbook import Runbook
from chronos_ops.runbook_opening import Reached, notebook_parameters
from tests.runner.probing import RUNBOOK, good, settings

Make = Callable[..., Runbook]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A run in a folder; values of parameters as keywords."""

    def made(**values: Any) -> Runbook:
        chosen = settings()
        parameters = parse_parameters(RUNBOOK, {"target": "probe", **values})
        folder = make_folder(
            tmp_path, "20261122T000000Z-backup-abc123", RUNBOOK, chosen, parameters
        )
        host = Unguarded(SshAddress("127.0.0.1", 1, "x", "none"))
        reached = Reached(Aws(chosen.aws), host, "nobody")
        return Runbook.begin(RUNBOOK, folder, chosen, parameters, reached, Redactor())

    return made


class Unguarded(Ssh):
    """A host on which no earlier run has left a guard (H9); nothing else may be asked of it."""

    def run(self, argv: Sequence[str], **_: Any) -> ShellAnswer:
        assert "chronos-ops/guard" in argv[2], argv
        return ShellAnswer(0, "")


def change(effect: Effect = Effect.NONE) -> Change:
    return Change(
        id="pg.archive_mode",
        title="turn WAL archiving on",
        why="without it there is no recovery point",
        deeds=(),
        before="archive_mode = off",
        after="archive_mode = on",
        effect=effect,
    )


def stage(*plans: Plan) -> Stage:
    """A stage that plans these, one after another; the last one for ever."""
    left = list(plans)
    return Stage(
        name="archiving",
        ask=lambda _: {},
        plan=lambda _settings, _values: left.pop(0) if len(left) > 1 else left[0],
    )


FULL = Plan(name="archiving", changes=(change(),))
EMPTY = Plan(name="archiving", noop_reason="archiving is on")


def record_of(run: Runbook, cell: str) -> StepRecord:
    return read_steps(run.context.folder)[cell]


def finding_of(run: Runbook, cell: str) -> Finding:
    outcome = record_of(run, cell).outcome
    assert outcome is not None
    (finding,) = outcome.findings
    return finding


def test_a_stage_is_applied_and_a_second_plan_must_be_empty(make: Make) -> None:
    run = make(approve="probe")
    run.stage("archiving", stage(FULL, EMPTY))
    record = record_of(run, "archiving")
    assert record.status == "ok"
    assert record.outcome is not None
    assert record.outcome.summary.startswith("1 change made")
    assert [f.status for f in record.outcome.findings] == [Status.PASS]
    assert "-archive_mode = off\n+archive_mode = on" in record.outcome.text
    assert "why: without it" in record.outcome.text
    deeds = [e for e in read_journal(run.context.folder) if e.kind == "deed"]
    assert [e.name for e in deeds] == ["pg.archive_mode", "pg.archive_mode"]


def test_a_stage_that_does_not_settle_fails_its_finding(make: Make) -> None:
    run = make(approve="probe")
    run.stage("archiving", stage(FULL))
    outcome = record_of(run, "archiving").outcome
    assert outcome is not None
    assert [f.status for f in outcome.findings] == [Status.FAIL]
    assert outcome.findings[0].observed == "turn WAL archiving on"


def test_nothing_to_do_is_said_with_its_reason_and_needs_no_consent(make: Make) -> None:
    run = make()
    run.stage("archiving", stage(EMPTY))
    outcome = record_of(run, "archiving").outcome
    assert outcome is not None
    assert outcome.summary == "Nothing to do: archiving is on."
    assert not [e for e in read_journal(run.context.folder) if e.kind == "deed"]


@pytest.mark.parametrize(
    ("plan", "values", "said"),
    [
        (FULL, {}, "not approved"),
        (FULL, {"approve": "production"}, "not approved"),
        (
            Plan(name="archiving", changes=(change(Effect.RESTART),)),
            {"approve": "probe"},
            "allow_restart=true",
        ),
    ],
)
def test_a_stage_is_refused_before_anything_is_touched(
    make: Make, plan: Plan, values: dict[str, Any], said: str
) -> None:
    run = make(**values)
    with pytest.raises(Refused) as refused:
        run.stage("archiving", stage(plan))
    assert said in refused.value.text()
    record = record_of(run, "archiving")
    assert record.error is not None
    assert (record.status, record.error.exit_status) == ("error", 2)
    assert not [e for e in read_journal(run.context.folder) if e.kind == "deed"]


def test_what_is_found_on_the_target_is_a_failure_not_wrong_usage(make: Make) -> None:
    run = make(approve="probe")
    unfit = Plan(name="archiving", refusals=("another tool archives here",))
    with pytest.raises(UnfitTarget, match="another tool archives here"):
        run.stage("archiving", stage(unfit))
    error = record_of(run, "archiving").error
    assert error is not None
    assert error.exit_status == 1  # so that the runner keeps the folder


def test_a_rule_that_a_step_finds_broken_is_a_finding_of_the_record(make: Make) -> None:
    rule = Rule("drill.target.reachable", "the target can be reached", "within the archive", "D7")

    def look(_: Context) -> Outcome:
        raise UsageError("it cannot", "lsn:FF/0", hint="name another", breaks=rule)

    run = make()
    with pytest.raises(UsageError):
        run.step("check-target", look)
    record = record_of(run, "check-target")
    assert record.error is not None
    assert record.error.exit_status == 1  # so that the runner keeps the folder
    assert record.outcome is not None
    (found,) = record.outcome.findings
    assert (found.id, found.status, found.hint) == (rule.id, Status.FAIL, "name another")
    assert found.observed == "it cannot: lsn:FF/0"


def test_a_step_that_needs_consent_is_not_done_without(make: Make) -> None:
    run = make()
    with pytest.raises(Refused, match="not approved: a paid instance"):
        run.step("look", good, consent="a paid instance")
    record = record_of(run, "look")
    assert record.outcome is None
    assert record.error is not None
    assert record.error.exit_status == 2


def test_a_dry_run_shows_the_diff_and_touches_nothing(make: Make) -> None:
    run = make(plan=True)
    run.stage("archiving", stage(FULL))
    run.step("restart", good)
    run.step("look", good, probe=True)
    run.confirm("nobody is asked in a dry run")
    archiving, restart = record_of(run, "archiving"), record_of(run, "restart")
    assert (archiving.status, restart.status) == ("would_run", "would_run")
    assert archiving.outcome is not None
    assert "+archive_mode = on" in archiving.outcome.text
    assert restart.outcome is not None
    assert restart.outcome.summary == "Would run: Pass."
    assert record_of(run, "look").status == "ok"
    assert not [e for e in read_journal(run.context.folder) if e.kind == "deed"]


def test_judging_only_a_change_that_is_due_is_a_finding_and_is_not_made(make: Make) -> None:
    run = make(approve="probe", check_only=True)
    unfit = Plan(name="archiving", refusals=("another tool archives here",))
    for cell, due in (("archiving", stage(FULL)), ("again", stage(unfit)), ("well", stage(EMPTY))):
        run.stage(cell, due)
    found = [finding_of(run, cell) for cell in ("archiving", "again", "well")]
    assert [f.status for f in found] == [Status.FAIL, Status.FAIL, Status.PASS]
    assert {f.id for f in found} == {"stage.archiving.as-declared"}
    assert (found[0].observed, found[1].observed) == (
        "turn WAL archiving on",
        "another tool archives here",
    )
    assert not [e for e in read_journal(run.context.folder) if e.kind == "deed"]


def test_judging_only_a_check_that_breaks_is_an_error_and_the_others_go_on(make: Make) -> None:
    run = make(approve="probe", check_only=True)

    def breaks(_: Any) -> Outcome:
        raise TransportError("no answer", "S3", hint="look at the network")

    run.step("verify", breaks)
    run.step("rights", lambda _: Outcome(summary="looked"))
    found = finding_of(run, "verify")
    assert (found.id, found.status) == ("step.verify.could-run", Status.ERROR)
    assert "no answer: S3" in found.observed
    assert found.hint == "look at the network"
    assert record_of(run, "rights").status == "ok"


def test_a_dry_run_that_judges_only_is_refused(make: Make) -> None:
    with pytest.raises(ChronosError, match="plan and check_only exclude each other"):
        make(plan=True, check_only=True)


def test_in_a_dry_run_what_follows_an_unapplied_stage_may_not_be_known(make: Make) -> None:
    def blind(_settings: Any, _values: Any) -> Plan:
        raise TransportError("pgbackrest is not installed")

    blind_stage = Stage(name="stanza", ask=lambda _: {}, plan=blind)
    run = make(plan=True)
    with pytest.raises(ChronosError, match="not installed"):
        run.stage("stanza", blind_stage)  # nothing went before: it is an error
    run.stage("archiving", stage(FULL))
    run.stage("stanza", blind_stage)
    outcome = record_of(run, "stanza").outcome
    assert outcome is not None
    assert "known after apply" in outcome.summary


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [(ValueError("no"), "error", "ValueError"), (KeyboardInterrupt(), "interrupted", "Keyboard")],
)
def test_a_broken_step_is_recorded_and_passed_on(
    make: Make, error: BaseException, status: str, kind: str
) -> None:
    def breaks(_: Any) -> Outcome:
        raise error

    run = make()
    with pytest.raises(type(error)):
        run.step("break", breaks)
    record = record_of(run, "break")
    assert record.status == status
    assert record.error is not None
    assert record.error.type.startswith(kind)
    assert read_journal(run.context.folder)[-1].data["status"] == status


def test_the_verdict_cell_raises_unless_all_is_good(make: Make) -> None:
    def bad(_: Any) -> Outcome:
        finding = {"id": "a.b", "status": "fail", "title": "t", "observed": "o", "expected": "e"}
        return Outcome.model_validate({"summary": "x", "findings": [finding]})

    run = make()
    run.step("look", bad)
    with pytest.raises(Deviated, match=r"check a\.b is fail"):
        run.verdict()
    own = (run.context.folder / "verdict.json").read_text()
    assert '"deviated"' in own or '"unknown"' in own  # written before it raised


def test_the_parameters_cell_is_checked_strictly() -> None:
    values = {"target": "lab", "approve": "", "plan": False}
    with pytest.raises(ChronosError, match="not set by the parameters cell"):
        notebook_parameters(RUNBOOK, values)
    whole = {**values, "check_only": False, "allow_restart": "yes", "pitr_test": True}
    with pytest.raises(ChronosError, match="allow_restart"):
        notebook_parameters(RUNBOOK, whole)


def test_a_dry_run_is_planned(make: Make) -> None:
    run = make(plan=True)
    run.verdict()
    assert Verdict.PLANNED in (run.context.folder / "verdict.json").read_text()
