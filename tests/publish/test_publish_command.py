"""./chronos publish, from the command line to the wire; and results on tickets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chronos_ops.cli import app, shelf
from chronos_ops.connectors import aws
from chronos_ops.connectors.atlassian import NotThere
from chronos_ops.model import settings
from chronos_ops.model.errors import Refused, UsageError
from chronos_ops.model.result import Result
from chronos_ops.model.secret import Secret
from chronos_ops.publish.export import EXPORTED
from chronos_ops.publish.mapping import FILE, load_mapping
from chronos_ops.publish.tickets import comment
from tests.publish.site import TOKEN, USER, Site, serving
from tests.test_cli import record

ROOT = Path(__file__).parents[2]
SECRET = "/chronos/atlassian/token"


class Store:
    """The secret store of a target."""

    def __init__(self, _account: object) -> None: ...

    def ask_secret_exists(self, name: str) -> bool:
        return name == SECRET

    def get_secret(self, name: str) -> Secret:
        assert name == SECRET
        return Secret(TOKEN)

    def close(self) -> None: ...


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    class Declared:
        aws = None

    monkeypatch.setattr(aws, "Aws", Store)
    monkeypatch.setattr(settings, "load_settings", lambda _target: Declared())
    monkeypatch.setattr(shelf, "ROOT", tmp_path)
    monkeypatch.setattr(shelf.runs, "__defaults__", (tmp_path,))
    with serving(Site(issues={"CHRONOS-218": ["an old word", "another", "a third"]})) as site:
        yield site


def mapping(folder: Path, site: Site, issue: str = "CHRONOS-218", **changes: Any) -> str:
    told = json.loads((ROOT / FILE).read_text())
    told["confluence"] |= {"url": f"{site.url}/wiki", "user": USER, "space": "OPS"} | changes
    told["jira"] |= {"url": site.url, "user": USER, "issues": {"disaster_recovery": issue}}
    path = folder / "mapping.json"
    path.write_text(json.dumps(told))
    return str(path)


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["publish", *words, "--target", "lab"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def run_folder(root: Path, run_id: str, day: int, **changes: Any) -> None:
    folder = root / "outputs" / "lab" / run_id
    folder.mkdir(parents=True)
    began = {"at": f"2025-06-0{day}T10:00:00+00:00"}
    (folder / "journal.jsonl").write_text(json.dumps(began) + "\n")
    (folder / "result.json").write_text(json.dumps(record(run_id, **changes)))
    (folder / "manifest.json").write_text("{}")


def test_the_mapping_of_this_checkout_is_sound() -> None:
    declared = load_mapping(ROOT / FILE)
    assert set(declared.confluence.pages) == set(EXPORTED)
    assert set(declared.jira.issues) == {*EXPORTED, "application_deploy"}
    for name in declared.jira.issues:
        assert (ROOT / "notebooks" / f"{name}.ipynb").is_file()
    assert declared.confluence.url == declared.jira.url == ""  # of each team's own


def test_the_four_runbooks_are_published_once(site: Site, tmp_path: Path) -> None:
    where = mapping(tmp_path, site)
    planned = run("confluence", "--plan", "--mapping", where)
    assert planned.count("new: Runbook: ") == 4
    assert site.writes == []
    assert run("confluence", "--mapping", where).count("written: ") == 4
    assert len(site.pages) == 4
    site.requests.clear()
    assert run("confluence", "--mapping", where).count("unchanged: ") == 4
    assert site.writes == []
    kept = json.dumps(site.pages)
    assert TOKEN not in kept + planned


def test_a_page_edited_by_hand_is_shown_and_refused(site: Site, tmp_path: Path) -> None:
    where = mapping(tmp_path, site)
    run("confluence", "--mapping", where)
    site.edit("Runbook: disaster recovery")
    site.requests.clear()
    for more in (["--plan"], []):
        done = CliRunner().invoke(
            app, ["publish", "confluence", "--target", "lab", "--mapping", where, *more]
        )
        assert isinstance(done.exception, Refused)
        assert ("edited by hand: Runbook: disaster recovery" in done.output) == bool(more)
        assert "-<p><strong>My promise:" in done.output or not more
    assert site.writes == []
    said = run("confluence", "--overwrite", "--mapping", where)
    assert (said.count("written: "), said.count("unchanged: ")) == (1, 3)


def test_a_ticket_is_told_each_result_once(site: Site, tmp_path: Path) -> None:
    run_folder(tmp_path, "run1", 1)
    run_folder(tmp_path, "run2", 2, verdict="deviated", reasons=["too slow"])
    run_folder(tmp_path, "run3", 3, verdict="planned")
    where = mapping(tmp_path, site)
    assert "deviated" in run("jira", "--plan", "--mapping", where)
    assert site.writes == []
    assert run("jira", "--mapping", where) == "written: CHRONOS-218, run2: deviated\n"
    told = site.issues["CHRONOS-218"][-1]
    for word in ("chronos-ops run run2", "target       lab", "83.4 s of 3600 s", "too slow"):
        assert word in told
    assert "sha256 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" in told
    assert run("jira", "--mapping", where) == "unchanged: CHRONOS-218 knows run2\n"
    assert len(site.writes) == 1
    run_folder(tmp_path, "run2-b", 4)  # its id begins as that of the one before
    assert run("jira", "--mapping", where).startswith("written: CHRONOS-218, run2-b")


def test_a_ticket_that_is_not_there(site: Site, tmp_path: Path) -> None:
    run_folder(tmp_path, "run1", 1)
    with pytest.raises(NotThere, match="CHRONOS-999"):
        run("jira", "--mapping", mapping(tmp_path, site, issue="CHRONOS-999"))
    assert site.writes == []


def test_a_comment_cannot_leave_its_braces() -> None:
    result = Result.model_validate(record("r", reasons=["a {noformat} h1. b", "{noformat:x}"]))
    text = comment(result, "")
    assert text.count("{noformat") == 2
    assert text.startswith("{noformat}\n")
    assert text.endswith("\n{noformat}")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"url": ""}, "no site is declared"),
        ({"token_secret": "/other"}, "no Atlassian token in the secret store: /other"),
        ({"urll": "x"}, "did you mean 'url'"),
    ],
)
def test_what_is_missing_is_named(
    site: Site, tmp_path: Path, spoil: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        run("confluence", "--mapping", mapping(tmp_path, site, **spoil))
    assert site.requests == []
