"""Markdown as Confluence's storage format: XHTML, with macros for code and anchors.

Source: Atlassian, "Confluence Storage Format". Nothing of the text becomes markup by itself: what
stands in a document is shown, never interpreted.
"""

import html
import re
from collections.abc import Mapping
from typing import Any

import mistune

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HERE = re.compile(r"\]\(#([^)\s]+)\)")
# Names that every Confluence knows: with another one a macro shows an error instead of its text.
_LANGUAGES = {"python": "py", "sh": "bash", "bash": "bash", "sql": "sql", "yaml": "yml"}


def storage(markdown: str, pages: Mapping[str, str]) -> str:
    """The body of a page. `pages`: titles of the pages to which links between documents lead."""
    text = re.sub(r"\A(<!--.*?-->\s*)?# [^\n]*\n", "", _NOT_XML.sub("�", markdown), flags=re.DOTALL)
    renderer = _Storage(pages, frozenset(_HERE.findall(text)))
    read: Any = mistune.create_markdown(renderer=renderer, plugins=["table", "strikethrough"])
    return str(read(text)).strip()


def code_macro(text: str, language: str = "") -> str:
    """A code macro; its text lies in CDATA, which `]]>` would end."""
    inside = text.rstrip("\n").replace("]]>", "]]]]><![CDATA[>")
    known = _LANGUAGES.get(language, "text")
    return (
        '<ac:structured-macro ac:name="code">'
        f'<ac:parameter ac:name="language">{known}</ac:parameter>'
        f"<ac:plain-text-body><![CDATA[{inside}]]></ac:plain-text-body>"
        "</ac:structured-macro>\n"
    )


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it and as links name it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def escaped(text: str) -> str:
    """Text as XML text or as the value of an attribute."""
    return mistune.escape(text)


class _Storage(mistune.HTMLRenderer):
    def __init__(self, pages: Mapping[str, str], anchors: frozenset[str]) -> None:
        super().__init__(escape=True)
        self._pages = pages
        self._anchors = anchors

    def block_code(self, code: str, info: str | None = None) -> str:
        return code_macro(code, (info or "").split(" ")[0])

    def heading(self, text: str, level: int, **_attributes: Any) -> str:
        name = slug(html.unescape(re.sub(r"<[^>]*>", "", text)))
        anchor = ""
        if name in self._anchors:
            anchor = (
                '<ac:structured-macro ac:name="anchor"><ac:parameter ac:name="">'
                f"{escaped(name)}</ac:parameter></ac:structured-macro>"
            )
        return f"<h{level}>{anchor}{text}</h{level}>\n"

    def link(self, text: str, url: str, title: str | None = None) -> str:  # noqa: ARG002 - mistune's
        file, _, anchor = url.partition("#")
        if re.match(r"https?://|mailto:", url):
            return f'<a href="{escaped(url)}">{text}</a>'
        at = f' ac:anchor="{escaped(anchor)}"' if anchor else ""
        if file in self._pages:
            page = f'<ri:page ri:content-title="{escaped(self._pages[file])}" />'
            return f"<ac:link{at}>{page}<ac:link-body>{text}</ac:link-body></ac:link>"
        if not file and at:
            return f"<ac:link{at}><ac:link-body>{text}</ac:link-body></ac:link>"
        return text  # a file of the checkout: no page has it

    def image(self, text: str, *_from: Any, **_more: Any) -> str:
        return text  # pages load nothing from elsewhere
