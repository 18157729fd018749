"""What stands in a document is shown on the page, never interpreted."""

from xml.etree import ElementTree

import pytest

from chronos_ops.publish.storage import storage

_SPACES = 'xmlns:ac="urn:ac" xmlns:ri="urn:ri"'
_AC = "{urn:ac}"


def parsed(markdown: str, **pages: str) -> ElementTree.Element:
    body = storage(markdown, {f"{name}.md": title for name, title in pages.items()})
    return ElementTree.fromstring(f"<page {_SPACES}>{body}</page>")  # noqa: S314 - our own text


@pytest.mark.parametrize(
    "text",
    [
        "]]>",
        "]]]]>]]>",
        "a ]]><ac:structured-macro ac:name='html'/><![CDATA[",
        "</ac:plain-text-body>",
        "&amp; &lt; &nbsp; <b>",
        "tab\tand\n\nempty lines",
    ],
)
def test_code_comes_back_as_it_was(text: str) -> None:
    page = parsed(f"# T\n\n```sh\n{text}\n```\n")
    (macro,) = page
    assert macro.tag == f"{_AC}structured-macro"
    assert macro.findtext(f"{_AC}plain-text-body") == text
    assert macro.findtext(f"{_AC}parameter") == "bash"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<ac:structured-macro ac:name="html"></ac:structured-macro>',
        "<div>\n<ac:link/>\n</div>",
        "a <ri:user/> b",
        "&nbsp; &unknown; &#x41;",
        "`<b>` and `]]>`",
        "| a <td> | `</table>` |\n|---|---|\n| <x | & |",
        "bell \x07, \ufffe, \x1b[0m",
        "# <b>heading</b>",
    ],
)
def test_nothing_of_the_text_becomes_markup(text: str) -> None:
    page = parsed(f"# T\n\n{text}\n")
    known = {"p", "h1", "table", "thead", "tbody", "tr", "th", "td", "code", "page", "strong"}
    assert {element.tag for element in page.iter()} <= known


def test_what_is_written_can_be_read() -> None:
    page = parsed("# T\n\n`a<b` &lt;c> \\<target> **x & y**\n\n---\n\nx  \ny\n")
    assert "".join(page.itertext()).startswith("a<b")
    assert "<target> x & y" in "".join(page.itertext())
    assert [element.tag for element in page] == ["p", "hr", "p"]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "x.py"])
def test_only_links_that_lead_somewhere_stay(url: str) -> None:
    page = parsed(f"# T\n\n[word]({url})\n")
    assert "".join(page.itertext()).strip() == "word"
    assert [element.tag for element in page.iter()] == ["page", "p"]


def test_links_to_pages_headings_and_elsewhere() -> None:
    page = parsed(
        "# T\n\n## Restore `points` & more\n\n[here](#restore-points--more) "
        '[there](other.md#a"b) [that](other.md) [out](https://example.org/?a=1&b="2)\n',
        other='A "title" & <more>',
    )
    heading, paragraph = page
    assert heading.find(f"{_AC}structured-macro").get(f"{_AC}name") == "anchor"  # type: ignore[union-attr]
    assert heading.findtext(f"{_AC}structured-macro/{_AC}parameter") == "restore-points--more"
    here, there, that, out = paragraph
    assert (here.get(f"{_AC}anchor"), len(here)) == ("restore-points--more", 1)
    titles = [link.find("{urn:ri}page").get("{urn:ri}content-title") for link in (there, that)]  # type: ignore[union-attr]
    assert titles == ['A "title" & <more>'] * 2
    assert out.get("href", "").startswith("https://example.org/?a=1&b=")


def test_the_title_is_the_pages_own_and_images_stay_out() -> None:
    page = parsed("<!-- made -->\n\n# Title\n\n![alt](http://example.org/x.png)\n")
    assert "".join(page.itertext()).strip() == "alt"
