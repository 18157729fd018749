"""Confluence's two interfaces: v2 on Atlassian's cloud, v1 on a Data Center site.

Sources: developer.atlassian.com, "Confluence Cloud REST API v2" (Page, Space) and "Confluence Data
Center REST API" (content, space).
"""

from typing import Any

from chronos_ops.connectors.atlassian import Atlassian
from chronos_ops.model.errors import UnreadableAnswer, UsageError
from chronos_ops.publish.mapping import ConfluenceSite
from chronos_ops.publish.pages import Page, Wiki


def wiki(site: Atlassian, declared: ConfluenceSite) -> Wiki:
    """The declared space. Raises UsageError: no such space."""
    return (Cloud if declared.user else DataCenter)(site, declared.space, declared.parent_id)


class Cloud:
    """v2: pages are found by their space's id."""

    def __init__(self, site: Atlassian, space: str, parent_id: str) -> None:
        self._site = site
        self._parent = {"parentId": parent_id} if parent_id else {}
        spaces = _results(site.ask("api/v2/spaces", keys=space), "spaces")
        if not spaces:
            raise _no_space(space)
        self._space = str(spaces[0]["id"])

    def find(self, title: str) -> Page | None:
        """The page of that title in the space."""
        asked = {"space-id": self._space, "title": title, "status": "current"}
        answer = self._site.ask("api/v2/pages", **asked, **{"body-format": "storage"})
        return _page(_results(answer, "pages"), title)

    def create(self, title: str, body: str) -> None:
        """Make a page below the parent, or at the top of the space."""
        wanted = {"spaceId": self._space, "status": "current", "title": title, **self._parent}
        self._site.post("api/v2/pages", {**wanted, "body": _body(body)})

    def update(self, page: Page, title: str, body: str, message: str) -> None:
        """Write the next version."""
        wanted = {"id": page.id, "status": "current", "title": title, "body": _body(body)}
        version = {"number": page.version + 1, "message": message}
        self._site.put(f"api/v2/pages/{page.id}", {**wanted, "version": version})


class DataCenter:
    """v1: pages are content of the type page."""

    def __init__(self, site: Atlassian, space: str, parent_id: str) -> None:
        self._site = site
        self._space = space
        self._parent = {"ancestors": [{"id": parent_id}]} if parent_id else {}
        asked = _results(site.ask("rest/api/space", spaceKey=space), "spaces")
        if not asked:
            raise _no_space(space)

    def find(self, title: str) -> Page | None:
        """The page of that title in the space."""
        asked = {"type": "page", "spaceKey": self._space, "title": title}
        answer = self._site.ask("rest/api/content", **asked, expand="body.storage,version")
        return _page(_results(answer, "content"), title)

    def create(self, title: str, body: str) -> None:
        """Make a page below the parent, or at the top of the space."""
        wanted = {"type": "page", "title": title, "space": {"key": self._space}, **self._parent}
        self._site.post("rest/api/content", {**wanted, "body": {"storage": _body(body)}})

    def update(self, page: Page, title: str, body: str, message: str) -> None:
        """Write the next version."""
        wanted = {"id": page.id, "type": "page", "title": title, "body": {"storage": _body(body)}}
        version = {"number": page.version + 1, "message": message}
        self._site.put(f"rest/api/content/{page.id}", {**wanted, "version": version})


def _body(text: str) -> dict[str, str]:
    return {"representation": "storage", "value": text}


def _results(answer: Any, noun: str) -> list[dict[str, Any]]:
    if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
        raise UnreadableAnswer(f"not a list of {noun}", str(answer)[:200])
    return list(answer["results"])


def _page(found: list[dict[str, Any]], title: str) -> Page | None:
    for one in found:
        try:
            if one["title"] != title:
                continue
            version, body = one["version"], one["body"]["storage"]["value"]
            message = str(version.get("message") or "")
            return Page(str(one["id"]), int(version["number"]), message, str(body))
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableAnswer("not a page", repr(error)) from None
    return None


def _no_space(space: str) -> UsageError:
    return UsageError(
        "no such space, or the token's user may not see it",
        space,
        hint="`confluence.space` in the mapping is the space's key, as its URLs have it",
    )
