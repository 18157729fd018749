"""Pages on a Confluence that takes only what its documentation describes."""

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors.atlassian import Atlassian, Conflict
from chronos_ops.lab.authority import make_authority
from chronos_ops.model.errors import ChronosError, Refused, TransportError, UsageError
from chronos_ops.model.secret import Secret
from chronos_ops.publish.mapping import ConfluenceSite
from chronos_ops.publish.pages import State, look, refuse_foreign, wanted, write
from chronos_ops.publish.wikis import wiki
from tests.publish.site import TOKEN, USER, Site, serving

PAGES = {"disaster_recovery": "Disaster & recovery", "security_hardening": "Hardening"}


@pytest.fixture(params=["cloud", "data center"])
def cloud(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "cloud")


@pytest.fixture
def site(cloud: bool) -> Iterator[Site]:
    with serving(Site(), cloud=cloud) as site:
        yield site


@pytest.fixture
def notebooks(tmp_path: Path) -> list[Path]:
    return [runbook(tmp_path, name, "**Promise:** 1 < 2.") for name in PAGES]


def runbook(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.ipynb"
    source = f"# Title\n\n{text} See `security_hardening.ipynb`.\n\n```sh\necho ']]>'\n```\n"
    cell = {"cell_type": "markdown", "metadata": {}, "source": source}
    path.write_text(json.dumps({"cells": [cell]}))
    return path


class Publisher:
    """What the command does, from the token on."""

    def __init__(self, site: Site, *, cloud: bool, token: str = TOKEN, **more: Any) -> None:
        user = USER if cloud else ""
        given = {"url": f"{site.url}/wiki", "space": "OPS", "pages": PAGES, "user": user} | more
        self.declared = ConfluenceSite.model_validate(given)
        self.site = Atlassian(
            self.declared.url, Secret(token), self.declared.user, self.declared.ca_file
        )
        self.said: list[str] = []

    def states(self, notebooks: list[Path]) -> list[State]:
        deeds = look(wiki(self.site, self.declared), [wanted(n, PAGES) for n in notebooks])
        return [deed.state for deed in deeds]

    def publish(self, notebooks: list[Path], *, overwrite: bool = False) -> list[str]:
        space = wiki(self.site, self.declared)
        deeds = look(space, [wanted(n, PAGES) for n in notebooks])
        if not overwrite:
            refuse_foreign(deeds)
        self.said = []
        try:
            write(space, deeds, self.said.append)
        finally:
            self.site.close()
        return self.said


def test_made_then_left_alone_then_only_what_changed(
    site: Site, notebooks: list[Path], cloud: bool
) -> None:
    publisher = Publisher(site, cloud=cloud, parent_id="777")
    assert publisher.publish(notebooks) == ["written: Disaster & recovery", "written: Hardening"]
    assert {page["parent"] for page in site.pages.values()} == {"777"}
    page = site.pages["98304"]
    assert "notebook sha256" in page["value"]
    assert "1 &lt; 2" in page["value"]
    assert "<![CDATA[echo ']]]]><![CDATA[>']]>" in page["value"]
    assert '<ri:page ri:content-title="Hardening" />' in page["value"]

    site.requests.clear()
    assert publisher.publish(notebooks) == [
        "unchanged: Disaster & recovery",
        "unchanged: Hardening",
    ]
    assert site.writes == []

    runbook(notebooks[0].parent, notebooks[0].stem, "**Promise:** 3.")
    publisher.publish(notebooks)
    assert [line.split()[0] for line in site.writes] == ["PUT"]
    assert page["number"] == 2
    assert page["message"].startswith("chronos-ops: notebook sha256 ")
    assert publisher.states(notebooks) == [State.UNCHANGED, State.UNCHANGED]
    runbook(notebooks[0].parent, notebooks[0].stem, "**Promise:** 4.")
    publisher.publish(notebooks)
    assert page["number"] == 3


@pytest.mark.parametrize("message", ["", "chronos-ops: notebook sha256 0"])
def test_an_edit_by_hand_is_not_overwritten_unasked(
    site: Site, notebooks: list[Path], cloud: bool, message: str
) -> None:
    publisher = Publisher(site, cloud=cloud)
    publisher.publish(notebooks)
    site.edit("Hardening", message)
    runbook(notebooks[0].parent, notebooks[0].stem, "**Promise:** 3.")
    site.requests.clear()
    with pytest.raises(Refused, match="'Hardening', version 2"):
        publisher.publish(notebooks)
    assert site.writes == []  # the other page neither
    publisher.publish(notebooks, overwrite=True)
    assert "My promise" not in site.pages["98305"]["value"]
    assert publisher.states(notebooks) == [State.UNCHANGED, State.UNCHANGED]


def test_a_page_of_others_with_that_title_is_refused(
    site: Site, notebooks: list[Path], cloud: bool
) -> None:
    site.pages["7"] = {"title": "Hardening", "value": "<p>ours</p>", "number": 1, "message": ""}
    with pytest.raises(Refused, match="somebody else"):
        Publisher(site, cloud=cloud).publish(notebooks)
    assert site.writes == []


def test_a_dry_look_shows_a_diff_and_writes_nothing(
    site: Site, notebooks: list[Path], cloud: bool
) -> None:
    publisher = Publisher(site, cloud=cloud)
    publisher.publish(notebooks)
    site.requests.clear()
    runbook(notebooks[0].parent, notebooks[0].stem, "**Promise:** 3.")
    deed = look(wiki(publisher.site, publisher.declared), [wanted(notebooks[0], PAGES)])[0]
    assert deed.state is State.CHANGED
    assert "+<p><strong>Promise:</strong> 3. See" in deed.diff()
    assert "-<p><strong>Promise:</strong> 1 &lt; 2. See" in deed.diff()
    assert site.writes == []


def test_a_faster_writer_is_a_conflict_and_the_next_run_goes_on(
    site: Site, notebooks: list[Path], cloud: bool
) -> None:
    publisher = Publisher(site, cloud=cloud)
    publisher.publish(notebooks)
    for notebook in notebooks:
        runbook(notebook.parent, notebook.stem, "**Promise:** 3.")

    def second_put() -> None:
        if len(site.writes) % 2 == 0:
            site.edit("Hardening")

    site.before["PUT"] = second_put
    with pytest.raises(Conflict, match="somebody else was faster") as caught:
        publisher.publish(notebooks)
    assert "written before that: Disaster & recovery" in caught.value.text()
    assert "My promise" in site.pages["98305"]["value"]
    site.before.clear()
    assert publisher.states(notebooks) == [State.UNCHANGED, State.FOREIGN]


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (403, Refused, "may not"),
        (404, ChronosError, "not there, or not for this user"),
        (429, TransportError, "try later"),
        (500, TransportError, "no answer that says what is so"),
        (302, UsageError, "the site is elsewhere"),
        (-1, TransportError, "no answer to"),
    ],
)
def test_errors_are_named_and_nothing_is_half_done(
    site: Site, notebooks: list[Path], cloud: bool, status: int, kind: type[ChronosError], said: str
) -> None:
    publisher = Publisher(site, cloud=cloud)
    publisher.publish(notebooks)
    before = json.dumps(site.pages)
    for notebook in notebooks:
        runbook(notebook.parent, notebook.stem, "**Promise:** 3.")
    site.fail["PUT"] = status
    with pytest.raises(kind, match=said) as caught:
        publisher.publish(notebooks)
    assert "written before that: nothing" in caught.value.text()
    assert json.dumps(site.pages) == before
    site.fail.clear()
    assert publisher.publish(notebooks)[0] == "written: Disaster & recovery"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_answer_that_got_lost_is_looked_for_by_the_next_run(
    site: Site, notebooks: list[Path], cloud: bool, method: str
) -> None:
    publisher = Publisher(site, cloud=cloud)
    if method == "PUT":
        publisher.publish(notebooks)
        for notebook in notebooks:
            runbook(notebook.parent, notebook.stem, "**Promise:** 3.")
    site.fail[method] = -2
    with pytest.raises(TransportError, match="no answer to"):
        publisher.publish(notebooks)
    site.fail.clear()
    assert publisher.publish(notebooks) == ["unchanged: Disaster & recovery", "written: Hardening"]


def test_a_wrong_token_is_said_without_the_token(
    site: Site, notebooks: list[Path], cloud: bool
) -> None:
    wrong = "ATATT-a-wrong-one"
    with pytest.raises(UsageError, match="the token is not accepted") as caught:
        Publisher(site, cloud=cloud, token=wrong).publish(notebooks)
    said = caught.value.text()
    assert "Unauthorized: B" in said  # the server gives back what it was given
    assert wrong not in said
    assert base64.b64encode(f"{USER}:{wrong}".encode()).decode() not in said
    assert site.writes == []


def test_an_unknown_space_is_said(site: Site, notebooks: list[Path], cloud: bool) -> None:
    with pytest.raises(UsageError, match="no such space"):
        Publisher(site, cloud=cloud, space="NOPE").publish(notebooks)
    assert site.writes == []


def test_nobody_listens(notebooks: list[Path]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = Site(url=f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(TransportError, match="no answer to GET"):
        Publisher(gone, cloud=True).publish(notebooks)


def test_https_with_a_ca_of_ones_own(tmp_path: Path, notebooks: list[Path]) -> None:
    authority = make_authority(tmp_path / "ca")
    leaf = authority.issue("site", ["127.0.0.1"], tmp_path / "leaf")
    with serving(Site(), leaf=(leaf.chain, leaf.key)) as site:
        with pytest.raises(TransportError, match="not trusted"):
            Publisher(site, cloud=True).publish(notebooks)
        trusting = Publisher(site, cloud=True, ca_file=str(authority.ca_file))
        assert len(trusting.publish(notebooks)) == 2


def test_a_token_goes_over_https_only() -> None:
    with pytest.raises(UsageError, match="HTTPS only"):
        Atlassian("http://wiki.example.org", Secret(TOKEN))


def test_an_address_with_a_login_is_refused_and_not_shown() -> None:
    for scheme in ("http", "https"):
        with pytest.raises(UsageError, match="a login in it") as caught:
            Atlassian(f"{scheme}://me:hunter2@wiki.example.org", Secret(TOKEN))
        assert "hunter2" not in caught.value.text()
