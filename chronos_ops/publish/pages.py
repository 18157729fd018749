"""Runbooks as Confluence pages: what is there is read first, then what differs is written (R7).

A page carries a stamp: the notebook's hash and its own text's. A page is ours if the newest version
was written from here: Confluence changes the markup that it stores, so bodies cannot be compared.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from chronos_ops.model.errors import ChronosError, Refused
from chronos_ops.publish.export import markdown
from chronos_ops.publish.storage import escaped, storage

_STAMP = re.compile(r"notebook sha256 ([0-9a-f]{64}), text sha256 ([0-9a-f]{64})")
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Page:
    """A page as it is; `message` is the comment of its newest version."""

    id: str
    version: int
    message: str
    body: str


class Wiki(Protocol):
    """A Confluence space. Raises as `connectors.atlassian` does."""

    def find(self, title: str) -> Page | None:
        """The page of that title."""

    def create(self, title: str, body: str) -> None:
        """Make a page."""

    def update(self, page: Page, title: str, body: str, message: str) -> None:
        """Write the version after the one that was read; another one meanwhile is a Conflict."""


class State(StrEnum):
    """What there is to do about a page."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FOREIGN = "edited by hand"  # or never ours


@dataclass(frozen=True)
class Wanted:
    """A page as it should be."""

    runbook: str
    title: str
    body: str
    stamp: str


@dataclass(frozen=True)
class Deed:
    """One page, as it is and as it should be."""

    wanted: Wanted
    there: Page | None
    state: State

    def diff(self) -> str:
        """What would change, line by line."""
        before = _lines(self.there.body) if self.there else []
        after = _lines(self.wanted.body)
        return "\n".join(list(unified_diff(before, after, lineterm="", n=1))[2:])


def wanted(notebook: Path, pages: dict[str, str]) -> Wanted:
    """The page of a runbook. Raises UnreadableAnswer: not a runbook's notebook."""
    name = notebook.stem
    text = storage(markdown(notebook), {f"{key}.md": title for key, title in pages.items()})
    hashes = [sha256(data).hexdigest() for data in (notebook.read_bytes(), text.encode())]
    stamp = f"notebook sha256 {hashes[0]}, text sha256 {hashes[1]}"
    note = f"Made by chronos-ops from notebooks/{escaped(name)}.ipynb; edit that, not this page."
    return Wanted(name, pages[name], f"<p><em>{note} {stamp}</em></p>\n{text}", stamp)


def look(wiki: Wiki, pages: Sequence[Wanted]) -> list[Deed]:
    """Read every page; nothing is written."""
    found = [(page, wiki.find(page.title)) for page in pages]
    return [Deed(page, there, _state(page, there)) for page, there in found]


def refuse_foreign(deeds: Sequence[Deed]) -> None:
    """Raises Refused, before anything is written, if a page is not ours any more, or never was."""
    foreign = [d for d in deeds if d.state is State.FOREIGN]
    if foreign:
        raise Refused(
            "written by somebody else, and not overwritten",
            "; ".join(f"{d.wanted.title!r}, version {d.there.version}" for d in foreign if d.there),
            hint="carry the edit into the notebook, or choose another title; `--overwrite` gives "
            "the page up (Confluence keeps its history)",
        )


def write(wiki: Wiki, deeds: Sequence[Deed], tell: Callable[[str], None]) -> None:
    """Write what is new or changed. Each page is one request: it is written whole or not at all."""
    done: list[str] = []
    for deed in deeds:
        page = deed.wanted
        if deed.state is State.UNCHANGED:
            tell(f"unchanged: {page.title}")
            continue
        try:
            if deed.there is None:
                wiki.create(page.title, page.body)
            else:
                wiki.update(deed.there, page.title, page.body, f"chronos-ops: {page.stamp}")
        except ChronosError as error:
            error.add(
                f"written before that: {', '.join(done) or 'nothing'}. Run it again: it goes on"
            )
            raise
        done.append(page.title)
        tell(f"written: {page.title}")


def _state(page: Wanted, there: Page | None) -> State:
    if there is None:
        return State.NEW
    stamped = _STAMP.search(_TAG.sub("", there.body))
    if stamped is None:
        return State.FOREIGN
    # A first version has no comment of ours: pages are made without one.
    if there.version > 1 and there.message != f"chronos-ops: {stamped[0]}":
        return State.FOREIGN
    return State.UNCHANGED if stamped[0] == page.stamp else State.CHANGED


def _lines(body: str) -> list[str]:
    return re.sub(r"(</(?:p|h\d|li|tr|td|th|ac:structured-macro)>)\s*", r"\1\n", body).splitlines()
