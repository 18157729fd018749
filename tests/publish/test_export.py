"""The documents equal the notebooks, and lead where they say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.publish.export import EXPORTED, FOLDER, export, markdown
from chronos_ops.publish.storage import slug

ROOT = Path(__file__).parents[2]


def notebook(folder: Path, *cells: dict[str, Any], name: str = "disaster_recovery") -> Path:
    path = folder / f"{name}.ipynb"
    told = [{"metadata": {}, "outputs": [], **cell} for cell in cells]
    path.write_text(json.dumps({"cells": told}))
    return path


def prose(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": text.splitlines(keepends=True)}


@pytest.mark.parametrize("name", EXPORTED)
def test_a_document_is_what_the_notebook_gives(name: str) -> None:
    kept = (ROOT / FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert kept == markdown(ROOT / "notebooks" / f"{name}.ipynb"), "run ./chronos docs export"


@pytest.mark.parametrize("name", EXPORTED)
def test_every_link_leads_somewhere(name: str) -> None:
    text = (ROOT / FOLDER / f"{name}.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = {slug(line) for line in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)}
    links = re.findall(r"\]\((?!https?://)([^)]+)\)", prose)
    assert links
    for link in links:
        file, _, anchor = link.partition("#")
        assert (ROOT / FOLDER / file).exists(), link
        assert file or anchor in headings, link


def test_sections_parameters_and_no_outputs(tmp_path: Path) -> None:
    parameters = {
        "cell_type": "code",
        "metadata": {"tags": ["parameters"]},
        "source": 'target = "a|b"  # parameters/<target>.yaml | "#" too\nsize = -1.0  # of it\n',
    }
    step = {
        "cell_type": "code",
        "source": "run.step()",
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "SECRET OUTPUT"}],
    }
    text = markdown(notebook(tmp_path, prose("# T\n\nPromise."), parameters, step))
    assert '| `target` | `"a\\|b"` | parameters/\\<target>.yaml \\| "#" too |' in text
    assert "| `size` | `-1.0` | of it |" in text
    assert "```python\nrun.step()\n```" in text
    assert "SECRET OUTPUT" not in text


def test_links_are_written_anew_but_not_in_code(tmp_path: Path) -> None:
    said = (
        "# T\n\n`security_hardening.ipynb`, `preflight.ipynb`, "
        "[a](disaster_recovery.ipynb#Old-News), [b](#Restore-points), [c](../README.md), [d](https://example.org/#A)\n\n"
        "```sh\nls `security_hardening.ipynb` [a](x.ipynb)\n```\n"
    )
    text = markdown(notebook(tmp_path, prose(said)))
    assert "[`security_hardening`](security_hardening.md), " in text
    assert "[`preflight`](../../notebooks/preflight.ipynb)" in text
    assert "[a](disaster_recovery.md#old-news)" in text
    assert "[b](#restore-points)" in text
    assert "[c](../../notebooks/../README.md)" in text
    assert "[d](https://example.org/#A)" in text
    assert "ls `security_hardening.ipynb` [a](x.ipynb)" in text


def test_export_writes_only_what_differs(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    for name in EXPORTED:
        notebook(tmp_path / "notebooks", prose(f"# {name}"), name=name)
    assert set(export(tmp_path).values()) == {True}
    changed = tmp_path / FOLDER / "disaster_recovery.md"
    changed.write_text("by hand")
    assert [path for path, was in export(tmp_path).items() if was] == [changed]


def test_what_is_no_runbook_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text("{}")
    with pytest.raises(UnreadableAnswer, match="is not a runbook"):
        markdown(path)
