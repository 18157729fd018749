"""The archive's page: what does not verify is never passed, nothing comes from outside."""

import os
import re
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.evidence.chain import PUBLIC_KEY
from chronos_ops.evidence.manifest import write_manifest
from chronos_ops.evidence.record import read_result, write_result
from chronos_ops.evidence.redact import Redactor
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.result import Verdict
from chronos_ops.model.schedule import Schedule
from chronos_ops.model.timing import Achieved, Objectives
from chronos_ops.schedule.claims import Claims
from chronos_ops.site import build as site_build
from chronos_ops.site.build import MARK, build
from chronos_ops.site.collect import UNSEALED, VERIFIED, Target, collect
from chronos_ops.site.serve import server
from chronos_ops.site.trend import percentile, trends
from tests.evidence.archived_runs import make_archive, make_run

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EVIL = "<script>alert('x')</script>"


def drill(target: Path, number: int, seconds: float, verdict: Verdict = Verdict.PASSED) -> Path:
    """A run with figures, sealed by nobody yet."""
    run = make_run(target, number, verdict=verdict)
    result = read_result(run)
    assert result is not None
    figures = Achieved(recovery_time_seconds=seconds, recovery_point_seconds=seconds / 10)
    limits = Objectives(recovery_time_seconds=3600, recovery_point_seconds=900)
    result = result.model_copy(update={"achieved": figures, "objectives": limits})
    write_result(run, result, Redactor())
    write_manifest(run)
    return run


class Archived:
    """`outputs/` with one target, an archive and three drills."""

    def __init__(self, folder: Path) -> None:
        self.outputs = folder / "outputs"
        self.folder = self.outputs / "production"
        self.archive = make_archive(self.folder, folder / "state")
        self.runs = [drill(self.folder, n, 20.0 * n) for n in (1, 2, 3)]
        for run in self.runs:
            self.archive.seal(run)

    def read(self, schedules: tuple[Schedule, ...] = (), *, known: bool = True) -> Target:
        key = self.archive.key.fingerprint if known else None
        (found,) = collect(self.outputs, lambda _: key, lambda _: schedules, NOW)
        return found

    def page(self) -> str:
        return build([self.read()], self.outputs.parent / "site", NOW).read_text()


@pytest.fixture
def archived(tmp_path: Path) -> Archived:
    return Archived(tmp_path)


def test_sealed_runs_are_verified_and_their_figures_counted(archived: Archived) -> None:
    found = archived.read()
    assert [row.seal for row in found.rows] == [VERIFIED] * 3
    assert (found.archive, found.sealed) == ([], 3)
    time, point = trends(found.rows)
    assert (time.count, time.p50, time.p95, time.worst) == (3, 40.0, 60.0, 60.0)
    assert (point.worst, point.objective) == (6.0, 900)
    page = archived.page()
    assert "p50 40.0 s, p95 1 min 00 s" in page
    assert "kept by all" in page


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(list(range(1, 101)), 0.95) == 95
    assert percentile([7.0], 0.95) == 7.0


def _changed(archived: Archived) -> None:
    (archived.runs[1] / "executed.html").write_text("<p>better</p>")


def _other_result(archived: Archived) -> None:
    result = read_result(archived.runs[1])
    assert result is not None
    write_result(
        archived.runs[1], result.model_copy(update={"verdict": Verdict.FAILED}), Redactor()
    )


@pytest.mark.parametrize("harm", [_changed, _other_result])
def test_a_run_that_was_changed_is_never_shown_as_passed(
    archived: Archived, harm: Callable[[Archived], None]
) -> None:
    harm(archived)
    row = next(r for r in archived.read().rows if r.folder == archived.runs[1])
    assert row.shown == "not verified"
    assert not row.measured
    assert sum(r.seal == VERIFIED for r in archived.read().rows) == 2


def test_a_changed_run_that_calls_itself_planned_still_stands_before_an_older_pass(
    archived: Archived,
) -> None:
    newest = archived.read().newest[0].folder
    result = read_result(newest)
    assert result is not None
    write_result(newest, result.model_copy(update={"verdict": Verdict.PLANNED}), Redactor())
    (row,) = archived.read().newest
    assert (row.folder, row.shown) == (newest, "not verified")


def test_a_broken_chain_and_an_unknown_key_vouch_for_nothing(archived: Archived) -> None:
    unknown = archived.read(known=False)
    assert {row.shown for row in unknown.rows} == {"not verified"}
    index = next((archived.folder / "archive").glob("index*"))
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join([lines[0], lines[2]]))
    broken = archived.read()
    assert {row.shown for row in broken.rows} == {"not verified"}
    assert "The archive does not verify" in archived.page()
    assert trends(broken.rows) == []
    (archived.folder / "archive" / PUBLIC_KEY).unlink()
    assert {row.shown for row in archived.read().rows} == {"not verified"}
    assert "The archive does not verify" in archived.page()


def test_a_run_without_a_seal_says_so_and_counts_for_nothing(archived: Archived) -> None:
    drill(archived.folder, 4, 5.0)
    newest = archived.read().rows[0]
    assert (newest.seal, newest.measured) == (UNSEALED, False)
    assert "not sealed" in archived.page()


def test_a_sealed_run_that_is_gone_is_named(archived: Archived) -> None:
    shutil.rmtree(archived.runs[0])
    assert [f.observed for f in archived.read().archive] == [f"{archived.runs[0].name} is gone"]


def test_a_result_whose_time_nobody_can_read_is_a_run_that_is_gone(archived: Archived) -> None:
    path = archived.runs[0] / "result.json"
    path.write_text(path.read_text().replace("2026-11-22T00:02:00.000000Z", "yesterday"))
    assert archived.runs[0].name in archived.read().archive[0].observed
    assert "The archive does not verify" in archived.page()


def test_what_findings_say_stays_text_and_nothing_comes_from_outside(archived: Archived) -> None:
    run = drill(archived.folder, 5, 5.0, Verdict.DEVIATED)
    result = read_result(run)
    assert result is not None
    finding = Finding(id="x", status=Status.FAIL, title=EVIL, observed=EVIL, expected="")
    write_result(run, result.model_copy(update={"findings": [finding]}), Redactor())
    page = archived.page()
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert re.findall(r"(?:src|href|url\()\s*=?\s*[\"']?(?:https?:)?//", page) == []
    links = re.findall(r'href="(runs/[^"]+)"', page)
    site = archived.outputs.parent / "site"
    assert len(set(links)) == 4
    assert all((site / link).is_file() for link in links)


def test_missed_slots_are_counted_from_the_first_claim(archived: Archived) -> None:
    schedule = Schedule("disaster_recovery", "production", "*-*-* 06:00:00 UTC")
    assert archived.read((schedule,)).slots[0].count == 0
    with Claims(archived.folder).claimed(
        "disaster_recovery", datetime(2026, 11, 22, 6, tzinfo=UTC)
    ) as held:
        held.begun(archived.runs[0].name)
    found = archived.read((schedule,)).slots[0]
    assert found.count == 3
    assert found.missed == [NOW.replace(hour=6) - timedelta(days=d) for d in (1, 0)]


def test_the_same_archive_gives_the_same_page_and_an_old_site_is_replaced(
    archived: Archived,
) -> None:
    first = archived.page()
    assert archived.page() == first
    left = [p.name for p in archived.outputs.parent.iterdir()]
    assert sorted(left) == ["outputs", "site", "state"]


def test_what_a_killed_build_left_is_cleared_and_the_old_site_is_back(
    archived: Archived, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = archived.page()
    folder, gone = archived.outputs.parent, "4194305"  # above what Linux gives
    (folder / "site").rename(folder / f".site.old-{gone}")
    (folder / f".site.new-{gone}").mkdir()
    (folder / f".site.new-{os.getpid()}-notes").mkdir()  # not a build's

    def broken(*_: Any) -> str:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(site_build, "page", broken)
        with pytest.raises(OSError, match="no space left"):
            archived.page()
    assert (folder / "site" / "index.html").read_text() == first
    left = {path.name for path in folder.iterdir()} - {"outputs", "state", "site"}
    assert left == {f".site.new-{os.getpid()}-notes"}


def test_what_is_not_ours_is_not_replaced(archived: Archived, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="not empty, and no site of ours"):
        build([archived.read()], mine, NOW)
    assert [p.name for p in mine.iterdir()] == ["letter.txt"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert build([archived.read()], empty, NOW).is_file()
    assert (empty / MARK).is_file()
    with pytest.raises(UsageError, match="no runs and no archive there"):
        collect(mine, lambda _: None, lambda _: (), NOW)


def test_what_was_put_there_meanwhile_is_not_replaced(
    archived: Archived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "empty"
    out.mkdir()
    copy = shutil.copyfile
    monkeypatch.setattr(
        "chronos_ops.site.build.shutil.copyfile",
        lambda *names: (out / "letter.txt").write_text("dear") and copy(*names),
    )
    with pytest.raises(UsageError, match="no site of ours"):
        build([archived.read()], out, NOW)
    assert [p.name for p in out.iterdir()] == ["letter.txt"]


def test_when_it_cannot_be_replaced_the_old_site_stays(
    archived: Archived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived.page()
    rename = Path.rename

    def once(path: Path, to: Path) -> Path:
        if ".new-" in path.name:
            raise OSError("no more")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(OSError, match="no more"):
        archived.page()
    assert (tmp_path / "site" / "index.html").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["outputs", "site", "state"]


def test_links_bring_nothing_else_in_and_are_not_replaced(
    archived: Archived, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("hidden")
    file = archived.runs[0] / "executed.html"
    file.unlink()
    file.symlink_to(tmp_path / "secret")
    (tmp_path / "place").mkdir()
    out = tmp_path / "out"
    out.symlink_to("place")
    build([archived.read()], out, NOW)
    site = tmp_path / "place"
    assert (out.is_symlink(), (site / MARK).is_file()) == (True, True)
    assert all(p.read_text() != "hidden" for p in site.rglob("*.html"))
    assert f"{archived.runs[0].name}.html" not in (site / "index.html").read_text()


def test_what_is_served_may_neither_run_nor_load(archived: Archived, tmp_path: Path) -> None:
    archived.page()
    with server(tmp_path / "site", 0) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        try:
            connection = HTTPConnection("127.0.0.1", served.server_address[1], timeout=10)
            connection.request("GET", f"/runs/production/{archived.runs[0].name}.html")
            answer = connection.getresponse()
            answer.read()
            connection.close()
        finally:
            served.shutdown()
    policy = answer.headers["Content-Security-Policy"]
    assert answer.status == 200
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_a_phone_shows_it_without_sideways_scrolling_and_fetches_it_alone(
    archived: Archived,
) -> None:
    from playwright.sync_api import sync_playwright

    run = drill(archived.folder, 6, 5.0, Verdict.DEVIATED)
    result = read_result(run)
    assert result is not None
    long = Finding(id="x" * 90, status=Status.FAIL, title="t", observed="y" * 200, expected="")
    write_result(run, result.model_copy(update={"findings": [long]}), Redactor())
    archived.page()
    fetched: list[str] = []
    said: list[str] = []
    shown = server(archived.outputs.parent / "site", 0)
    address = f"http://127.0.0.1:{shown.server_address[1]}/"
    with shown, sync_playwright() as player:
        threading.Thread(target=shown.serve_forever, daemon=True).start()
        browser = player.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_page(viewport={"width": 390, "height": 844}, is_mobile=True)
        tab.on("request", lambda request: fetched.append(request.url))
        tab.on("console", lambda message: said.append(message.text))
        tab.goto(address, wait_until="networkidle")
        width = tab.evaluate("document.documentElement.scrollWidth")
        browser.close()
        shown.shutdown()
    assert width == 390
    assert [url for url in fetched if not url.startswith("data:")] == [address]
    assert said == []
