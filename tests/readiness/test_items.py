"""An item is met by both halves alone; its page says in plain words what is missing (R8)."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chronos_ops.evidence.display import verdict_html
from chronos_ops.evidence.report_readiness import readiness_chart
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import CommandFailed, TransportError
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.parameters import MODELS
from chronos_ops.model.plan import Change, Plan
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.stage import Stage
from chronos_ops.readiness.criteria import CRITERIA
from chronos_ops.readiness.items import ITEMS
from chronos_ops.readiness.live import judge_stage, status_of
from chronos_ops.readiness.page import LAB, page
from chronos_ops.readiness.session import Readiness, judge_item
from chronos_ops.readiness.shelf import Answer
from tests.readiness.proven import Target, finding, wanted

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PROVEN = Answer(wanted("ssh"), None, "")
FACTS = {"target": "t", "when": "w", "evaluated by": "e", "on": "h"}


def context() -> Context:
    return cast(Context, SimpleNamespace(settings=None, say=lambda _: None))


def stage(plan: Callable[[], Plan]) -> Stage:
    return Stage("ssh", lambda _: {}, lambda _settings, _values: plan())


def _raises(error: Exception) -> Callable[[], Plan]:
    def plan() -> Plan:
        raise error

    return plan


CHANGE = Change(id="a", title="write sshd_config", why="", deeds=())


@pytest.mark.parametrize(
    ("plan", "status", "said"),
    [
        (lambda: Plan(name="ssh", noop_reason="keys only"), Status.PASS, "keys only"),
        (
            lambda: Plan(name="ssh", changes=(CHANGE, CHANGE)),
            Status.FAIL,
            "2 changes to make: write sshd_config; write sshd_config",
        ),
        (lambda: Plan(name="ssh", refusals=("no key",)), Status.FAIL, "refused: no key"),
        (_raises(TransportError("the host is silent")), Status.UNKNOWN, "the host is silent"),
        (_raises(CommandFailed("sshd -T", 1, "no")), Status.ERROR, "sshd -T: exit code 1\nno"),
    ],
)
def test_a_stage_is_as_declared_only_with_nothing_to_do(
    plan: Callable[[], Plan], status: Status, said: str
) -> None:
    judged = judge_stage(stage(plan), context())
    assert (judged.status, judged.observed) == (status, said)


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ((), Status.UNKNOWN),
        ((Status.NOT_APPLICABLE,), Status.UNKNOWN),
        ((Status.PASS, Status.NOT_APPLICABLE), Status.PASS),
        ((Status.PASS, Status.UNKNOWN), Status.UNKNOWN),
        ((Status.PASS, Status.ERROR), Status.UNKNOWN),
        ((Status.UNKNOWN, Status.FAIL, Status.PASS), Status.FAIL),
    ],
)
def test_passing_needs_positive_proof(seen: Sequence[Status], status: Status) -> None:
    assert status_of([finding("x", one) for one in seen]) is status


def test_a_silent_host_leaves_every_item_unknown_whatever_was_proven(tmp_path: Path) -> None:
    target = Target(tmp_path)
    asked = [evidence for item in ITEMS for evidence in item.evidence]
    for days, evidence in enumerate(asked, start=1):
        target.ran(evidence, days=days)
    silent = SimpleNamespace(open=_raises(TransportError("no answer", "16.52.210.100")))
    run = target.folder / "20261123T000000Z-readiness-1"
    run.mkdir()
    here = cast(
        Context,
        SimpleNamespace(
            settings=target.settings,
            parameters=SimpleNamespace(longest_age_days=10**6),
            folder=run,
            run_id=run.name,
            aws=None,
            ssh=silent,
            say=lambda _: None,
        ),
    )
    outcome = Readiness().items(here)
    assert {f.status for f in outcome.findings} == {Status.UNKNOWN}
    rows = outcome.measures["readiness"]
    assert {row["live"] for row in rows} == {"unknown"}
    assert not any(row["ready"] for row in rows)
    assert all("The host answers: no answer: 16.52.210.100" in row["missing"] for row in rows)
    assert "NOT READY: 0 of 10" in (run / "readiness.md").read_text()


def row(live: Sequence[Finding], *answers: Answer) -> dict[str, Any]:
    return judge_item(ITEMS[5], live, answers)


def test_neither_half_alone_is_ready() -> None:
    good, bad = [finding("x", Status.PASS)], [finding("x", Status.FAIL)]
    assert row(good, PROVEN)["ready"]
    assert not row(good)["ready"], "an item that wants no evidence at all proves nothing"
    assert not row(bad, PROVEN)["ready"]
    assert not row([finding("x", Status.ERROR)], PROVEN)["ready"]
    without = row(good, PROVEN, Answer(wanted("ssh"), None, "no run of security_hardening"))
    assert (without["ready"], without["missing"]) == (False, "no run of security_hardening")


def test_the_page_names_what_is_missing_and_what_a_lab_proves() -> None:
    met = row([finding("x", Status.PASS)], PROVEN)
    lost = row([finding("x", Status.FAIL)], PROVEN)
    said = page(FACTS, [met, lost], lab=True)
    assert "**NOT READY: 1 of 2 items are met.**" in said
    assert LAB in said
    assert "- **SSH by keys only**: about x: seen. _To do:_ run security_hardening." in said
    ready = page(FACTS, [met], lab=False)
    assert "**READY: 1 of 1 items are met.**" in ready
    assert LAB not in ready
    assert "missing" not in ready


def result(measures: dict[str, Any]) -> Result:
    return Result(
        schema="chronos-ops/result/1",
        run_id="r",
        runbook="production_readiness",
        target="t",
        verdict=Verdict.DEVIATED,
        started_at="",
        ended_at="",
        measures=measures,
    )


def test_the_chart_says_the_finding_in_its_title() -> None:
    rows = [row([finding("x", Status.PASS)], PROVEN), row([finding("x", Status.ERROR)])]
    drawn = readiness_chart(result({"readiness": rows}))
    assert "1 of 2 items are met" in drawn
    assert "not known" in drawn
    assert drawn == readiness_chart(result({"readiness": rows}))
    assert "No item was judged" in readiness_chart(result({}))


def test_the_ten_rows_stand_in_the_banner_with_links_to_their_evidence() -> None:
    table = [{"item": "SSH <b>", "evidence": "../20261122T000001Z-drill-1/executed.html (2.0 h)"}]
    banner = verdict_html(result({"page": {"summary": "**Not ready.**", "table": table}}))
    link = (
        '<a href="../20261122T000001Z-drill-1/executed.html">20261122T000001Z-drill-1</a> (2.0 h)'
    )
    assert link in banner
    assert "<b>Not ready.</b>" in banner
    assert "SSH &lt;b&gt;" in banner
    assert "Not ready" not in verdict_html(result({}))


def test_the_ten_items_and_the_criteria_name_what_there_is() -> None:
    assert len(ITEMS) == len({item.id for item in ITEMS}) == 10
    for item in ITEMS:
        assert item.looks
        assert item.evidence
        assert {evidence.runbook for evidence in item.evidence} <= set(MODELS)
    numbers = {"B": 9, "H": 9, "M": 8, "D": 9}
    assert [c.requirement for c in CRITERIA] == [
        f"{letter}{n}" for letter, last in numbers.items() for n in range(1, last + 1)
    ]
    for each in CRITERIA:
        cells = json.loads((NOTEBOOKS / f"{each.runbook}.ipynb").read_text())["cells"]
        assert not each.step or each.step in {cell["id"] for cell in cells}
