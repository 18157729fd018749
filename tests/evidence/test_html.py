"""The page of a run: whole in itself, the verdict on top (R3)."""

import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest

from chronos_ops.evidence.display import bundle, findings_html, step_html
from chronos_ops.evidence.html import page, title
from chronos_ops.evidence.steps import StepError, StepKind, StepRecord
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.result import Result, Verdict

# Elements that load what they name; links (<a>) are fine.
LOADING = {"script", "link", "img", "iframe", "object", "embed", "source", "video", "audio", "use"}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="20"><text y="15">hi</text></svg>'


def result(verdict: Verdict = Verdict.FAILED) -> Result:
    return Result(
        schema="chronos-ops/result/1",
        run_id="20261122T000000Z-drill-abc123",
        runbook="disaster_recovery",
        target="lab",
        scenario="instance_lost",
        verdict=verdict,
        reasons=["restore: ValueError: <b>no</b>"],
        started_at="2026-11-22T00:00:00.000000Z",
        ended_at="2026-11-22T00:10:00.000000Z",
    )


def notebook() -> dict[str, Any]:
    record = StepRecord(
        schema="chronos-ops/step/1",
        cell="restore",
        kind="step",
        status="error",
        started_at="2026-11-22T00:00:00.000000Z",
        seconds=1,
        outcome=Outcome(
            summary="**bold** <script>alert(1)</script>",
            findings=[judge("a.b", "<i>t</i>", passed=False, observed="<x>", expected="y")],
            text="+ added\n- removed",
        ),
        error=StepError(type="ValueError", text="<b>no</b>"),
    )
    make: Any = nbformat.v4
    cells = [
        make.new_markdown_cell("# A drill\n\nSee [the manual](https://www.postgresql.org/docs/)."),
        make.new_code_cell(
            "run.step('restore', restore)",
            id="restore",
            execution_count=1,
            outputs=[
                make.new_output("display_data", bundle(record, SVG)),
                make.new_output("stream", text="\x1b[31mred\x1b[0m\n"),
            ],
        ),
    ]
    made: dict[str, Any] = make.new_notebook(cells=cells)
    return made


class Loads(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            wanted = tag in LOADING and name in ("src", "href", "xlink:href", "data", "srcset")
            if wanted and value and not value.startswith(("data:", "#")):
                self.found.append(f"<{tag} {name}={value[:60]}>")


def test_no_element_loads_anything() -> None:
    text = page(notebook(), result())
    parser = Loads()
    parser.feed(text)
    assert parser.found == []
    assert "@import" not in text
    assert "url(http" not in text


def test_the_verdict_comes_first_and_links_to_the_cell() -> None:
    text = page(notebook(), result())
    body = text[text.index("<body") :]
    assert body.index("FAILED") < body.index("A drill")
    assert '<a href="#cell-id=restore">restore</a>: ValueError' in body
    assert 'id="cell-id=restore"' in body
    assert f"<title>{title(result())}</title>" in text
    assert "disaster_recovery · instance_lost · lab · failed" in text


def test_what_was_observed_is_text_never_markup() -> None:
    body = page(notebook(), result())
    assert "<script>alert(1)" not in body
    assert "&lt;script&gt;alert(1)" in body
    assert "<b>no</b>" not in body
    assert "<i>t</i>" not in body
    assert "<b>bold</b>" in body


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_a_real_browser_fetches_the_page_alone_and_shows_it(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    path = tmp_path / "executed.html"
    path.write_text(page(notebook(), result(Verdict.PASSED)), encoding="utf-8")
    fetched: list[str] = []
    wrong: list[str] = []
    with sync_playwright() as player:
        browser = player.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_page()
        tab.on("request", lambda request: fetched.append(request.url))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(path.as_uri(), wait_until="networkidle")
        assert tab.locator(".chronos-verdict").is_visible()
        assert "PASSED" in tab.locator(".chronos-verdict").inner_text()
        chart = tab.get_by_alt_text("chart: restore")
        assert chart.evaluate("image => image.complete && image.naturalWidth") == 80
        browser.close()
    assert fetched == [path.as_uri()]
    assert wrong == []


def test_many_good_checks_are_folded_away_and_the_bad_ones_are_not() -> None:
    def finding(number: int, status: Status) -> Finding:
        return Finding(
            id=f"f{number}", status=status, title=f"title {number}", observed="o", expected="e"
        )

    few = findings_html([finding(n, Status.PASS) for n in range(40)])
    assert "<details" not in few
    many = [finding(n, Status.FAIL if n == 7 else Status.PASS) for n in range(50)]
    shown, _, folded = findings_html(many).partition("<details")
    assert "title 7<" in shown
    assert "title 8<" not in shown
    assert "49 of 50 checks are good" in folded
    assert folded.count("✓ pass") == 49


def test_a_long_text_of_a_step_is_folded_and_a_diff_is_not() -> None:
    def shown(kind: StepKind) -> str:
        record = StepRecord(
            schema="chronos-ops/step/1",
            cell="c",
            kind=kind,
            status="ok",
            started_at="2026-11-22T21:00:00.000000Z",
            seconds=1,
            outcome=Outcome(summary="s", text="line\n" * 61),
        )
        return step_html(record)

    assert "61 lines: show them" in shown("step")
    assert "<details" not in shown("stage")
