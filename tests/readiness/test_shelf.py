"""Only sealed, whole, own, young, passed runs prove something; each other one is named (R8, R4)."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.evidence.archive import ARCHIVE
from chronos_ops.evidence.chain import INDEX, STATEMENTS
from chronos_ops.evidence.folder import write_json
from chronos_ops.evidence.manifest import write_manifest
from chronos_ops.evidence.signing import operator_key
from chronos_ops.model.finding import Status
from chronos_ops.model.result import Verdict
from chronos_ops.readiness.criteria import CRITERIA, judge_criteria
from chronos_ops.readiness.item import Evidence
from chronos_ops.readiness.shelf import Shelf, read_shelf
from tests.readiness.proven import NOW, Target, finding, settings, wanted

PITR = wanted("pitr")
PUSH = "./chronos archive push --target production"
NO_AWS: Any = None  # no bucket is declared: nobody asks


def shelf(target: Target) -> Shelf:
    return read_shelf(target.settings, NO_AWS, target.folder, "", NOW)


def why(target: Target, evidence: Evidence = PITR, longest: float = 35) -> str:
    return shelf(target).decide(evidence, longest).why


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


def test_a_passed_sealed_young_run_of_this_target_is_evidence(target: Target) -> None:
    run = target.ran(PITR, days=34.9)
    answer = shelf(target).decide(PITR, 35)
    assert (answer.why, answer.run and answer.run.folder) == ("", run)
    assert answer.run is not None
    assert answer.run.link == f"../{run.name}/executed.html"
    assert answer.age_days == pytest.approx(34.9, abs=0.01)


def _unsealed(target: Target) -> None:
    target.ran(wanted("database"), days=3)
    target.ran(PITR, days=2)
    target.ran(PITR, seal=False)


def _changed(target: Target) -> None:
    (target.ran(PITR) / "executed.html").write_text("<p>it ran well</p>\n")


def _result_rewritten(target: Target) -> None:
    run = target.ran(PITR, verdict=Verdict.DEVIATED)
    text = (run / "result.json").read_text()
    (run / "result.json").write_text(text.replace("deviated", "passed"))


def _statement_gone(target: Target) -> None:
    target.ran(PITR)
    next((target.folder / ARCHIVE / STATEMENTS).iterdir()).unlink()


def _line_removed(target: Target) -> None:
    """The newest run failed: its line is cut off, and its statement left."""
    target.ran(PITR, days=2)
    target.ran(PITR, days=1, verdict=Verdict.FAILED)
    index = target.folder / ARCHIVE / INDEX
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:-1]))


def _failure_gone(target: Target) -> None:
    """A later run failed and was sealed; its folder is away."""
    target.ran(PITR, days=2)
    shutil.rmtree(target.ran(PITR, days=1, verdict=Verdict.FAILED))


def _failure_called_planned(target: Target) -> None:
    target.ran(PITR, days=2)
    run = target.ran(PITR, days=1, verdict=Verdict.FAILED)
    text = (run / "result.json").read_text()
    (run / "result.json").write_text(text.replace('"failed"', '"planned"'))


def _other_key(target: Target) -> None:
    target.ran(PITR)
    stranger = operator_key(target.folder / "stranger").fingerprint
    target.settings = settings(stranger)


def _other(**changed: Any) -> Callable[[Target], object]:
    def ran(target: Target) -> object:
        own = target.settings.archive
        assert own is not None
        assert own.key_fingerprint is not None
        return target.ran(PITR, of=settings(own.key_fingerprint, **changed))

    return ran


def _ran(**how: Any) -> Callable[[Target], object]:
    return lambda target: target.ran(PITR, **how)


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        (lambda _: None, "no run of pgbackrest_backup_restore proves it"),
        (_changed, "changed since it was sealed: "),
        (_result_rewritten, "its seal is of another result"),
        (_statement_gone, "the archive does not vouch for it (Each line is signed"),
        (_line_removed, "the archive does not vouch for it (No statement without its line"),
        (_other_key, "the archive does not vouch for it (The key is the archive's"),
        (_unsealed, f"not sealed ({PUSH})"),
        (_other(target="staging"), "of another target: staging"),
        (_other(disposable=True), "of a lab"),
        (_other(aws={"account_id": "999999999999"}), "of another AWS account: 999999999999"),
        (_other(aws={"endpoint_url": "https://10.0.0.1"}), "of another AWS endpoint: https"),
        (_other(host={"instance": "older"}), "of another instance: older"),
        (_ran(days=36), "36 days old, at most 35 are allowed"),
        (_ran(days=-1), "it ended in the future"),
        (_ran(verdict=Verdict.DEVIATED), "its verdict is deviated"),
        (_ran(verdict=Verdict.ABORTED, findings={"x": Status.PASS}), "its verdict is aborted"),
        (_ran(evaluated_by=""), "it does not say who evaluated it"),
        (_ran(findings={"backup.pitr": Status.PASS}), "it says nothing of backup.objective."),
        (
            _ran(findings=dict.fromkeys(PITR.findings, Status.FAIL)),
            "backup.pitr is fail: seen; backup.objective. is fail",
        ),
        (
            _ran(
                findings=dict.fromkeys(PITR.findings, Status.PASS) | {"backup.pitr.x": Status.ERROR}
            ),
            "backup.pitr.x is error: seen",
        ),
    ],
)
def test_what_is_no_evidence_is_named(
    target: Target, happened: Callable[[Target], object], said: str
) -> None:
    happened(target)
    assert why(target).startswith(said)


def test_the_newest_run_decides_and_one_that_left_the_proof_out_does_not(target: Target) -> None:
    target.ran(PITR, days=9)
    target.ran(PITR, days=8, findings=dict.fromkeys(PITR.findings, Status.NOT_APPLICABLE))
    target.ran(PITR, days=7.5, findings={"backup.objective.recovery-point": Status.PASS})
    target.ran(PITR, days=7, verdict=Verdict.PLANNED)
    assert why(target) == ""
    target.ran(PITR, days=6, verdict=Verdict.FAILED)
    assert why(target) == "its verdict is failed"


def test_a_run_that_left_a_part_out_and_found_another_part_wrong_decides(target: Target) -> None:
    target.ran(PITR, days=9)
    target.ran(PITR, days=8, findings={"backup.objective.recovery-point": Status.FAIL})
    assert why(target).startswith("it says nothing of backup.pitr")


@pytest.mark.parametrize("hide", [_failure_gone, _failure_called_planned])
def test_an_older_pass_is_not_counted_over_a_sealed_run_that_was_hidden(
    target: Target, hide: Callable[[Target], None]
) -> None:
    hide(target)
    assert why(target).endswith("was sealed after it, and its result is gone or another")
    target.ran(PITR, days=0.5)
    assert why(target) == ""


def test_a_file_that_is_wanted_must_be_there(target: Target) -> None:
    documents = wanted("documents")
    run = target.ran(Evidence(documents.runbook, documents.findings))
    assert why(target, documents) == "it has no access.md"
    target.ran(documents, days=0.5)
    assert why(target, documents) == ""
    assert run.is_dir()


def test_without_an_archive_nothing_is_proven(target: Target) -> None:
    target.ran(PITR)
    target.settings = target.settings.model_copy(update={"archive": None})
    assert why(target).startswith("the archive does not vouch for it (There is an archive: none")
    target.settings = settings("0" * 64)
    target.forget()
    target.ran(PITR, seal=False)
    assert "no archive there" in why(target)


def test_criteria_are_told_by_requirement_and_what_is_not_shown_is_unknown(target: Target) -> None:
    def rows() -> dict[str, tuple[str, str]]:
        judged = judge_criteria(shelf(target), 35)
        return {row["requirement"]: (row["shown"], row["by"]) for row in judged}

    assert set(rows().values()) == {("unknown", f"no run of {c.runbook}") for c in CRITERIA}
    told = [
        finding("a", Status.PASS, "B1"),
        finding("b", Status.PASS, "B1"),
        finding("c", Status.NOT_APPLICABLE, "B5"),
    ]
    target.ran(wanted("database"))
    run = target.ran(PITR, findings={}, told=told, seal=False)
    assert rows()["B1"] == ("unknown", f"not sealed ({PUSH})")
    write_json(run / "steps/verdict.json", {"status": "ok"})
    write_manifest(run)
    target.archive.seal(run)
    said = rows()
    assert (said["B1"], said["B7"]) == (("pass", "2 checks"), ("pass", "its step `verdict`"))
    assert said["B5"] == said["B2"] == ("unknown", "that run says nothing of it")
    target.ran(PITR, days=0.5, told=[*told, finding("d", Status.ERROR, "B1")])
    assert rows()["B1"] == ("error", "d: seen")


def test_many_runs_are_read_in_seconds(target: Target) -> None:
    for number in range(60):
        target.ran(PITR, days=number / 10)
    began = time.monotonic()
    assert why(target) == ""
    assert time.monotonic() - began < 5
