"""A runbook as Markdown: its prose, its parameters as a table, its cells without outputs (R7)."""

import ast
import io
import json
import re
import tokenize
from pathlib import Path
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer

EXPORTED = (
    "pgbackrest_backup_restore",
    "security_hardening",
    "cloudwatch_monitoring",
    "disaster_recovery",
)
FOLDER = Path("docs/3_runbooks")
_NOTEBOOKS = "../../notebooks"  # as seen from FOLDER
_LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]+)\)")
_RUNBOOK = re.compile(r"(?<!\[)`(\w+)\.ipynb`")


def markdown(notebook: Path) -> str:
    """The document of a runbook. Raises UnreadableAnswer: not a runbook's notebook."""
    name = notebook.stem
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        parts = [_part(cell) for cell in cells]
    except (OSError, ValueError, KeyError, SyntaxError) as error:
        raise UnreadableAnswer(f"{notebook.name} is not a runbook", error) from None
    parts.insert(1, _how_to_run(name))
    made = f"<!-- Made from notebooks/{name}.ipynb by `./chronos docs export`: edit that. -->"
    return "\n\n".join([made, *(part for part in parts if part)]) + "\n"


def export(root: Path) -> dict[Path, bool]:
    """Write the documents of a checkout; True where a file was not so before."""
    changed = {}
    for name in EXPORTED:
        path = root / FOLDER / f"{name}.md"
        text = markdown(root / "notebooks" / f"{name}.ipynb")
        changed[path] = not path.is_file() or path.read_text(encoding="utf-8") != text
        if changed[path]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    return changed


def _how_to_run(name: str) -> str:
    return (
        f"This is the text of [`{name}.ipynb`]({_NOTEBOOKS}/{name}.ipynb), "
        "which runs as it reads:\n\n"
        "```sh\n"
        f"./chronos run {name} --target NAME --plan    # every change shown, nothing touched\n"
        f"./chronos run {name} --target NAME --approve NAME\n"
        f"./chronos notebook {name} --target NAME      # step by step, in JupyterLab\n"
        "```"
    )


def _part(cell: dict[str, Any]) -> str:
    text = "".join(cell["source"]).strip()
    if cell["cell_type"] == "markdown":
        return "".join(
            piece if is_code else _linked(piece) for is_code, piece in _apart(text)
        ).strip()
    if "parameters" in cell["metadata"].get("tags", []):
        return _parameters(text)
    return f"```python\n{text}\n```"


def _apart(text: str) -> list[tuple[bool, str]]:
    """The text in pieces; a fenced block is left as it is."""
    pieces = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    return [(piece.startswith("```"), piece) for piece in pieces]


def _linked(text: str) -> str:
    """Links as they lead from the document: runbooks, files, and headings by their slug."""
    named = _RUNBOOK.sub(lambda m: f"[`{m[1]}`]({_runbook(m[1])})", text)
    return _LINK.sub(lambda m: f"]({_place(m[1])})", named)


def _runbook(name: str) -> str:
    return f"{name}.md" if name in EXPORTED else f"{_NOTEBOOKS}/{name}.ipynb"


def _place(link: str) -> str:
    file, sign, anchor = link.partition("#")
    tail = f"#{anchor.lower()}" if sign else ""
    if not file or file.removesuffix(".md") in EXPORTED or file.startswith(_NOTEBOOKS):
        return file + tail
    if file.endswith(".ipynb") and "/" not in file:
        return _runbook(file.removesuffix(".ipynb")) + tail
    return f"{_NOTEBOOKS}/{file}{tail}"


def _parameters(text: str) -> str:
    rows = ["| parameter | default | what it is |", "|---|---|---|"]
    for line in text.splitlines():
        match ast.parse(line).body:
            case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
                meaning = _comment(line).replace("|", "\\|").replace("<", "\\<")
                shown = str(ast.get_source_segment(line, value)).replace("|", "\\|")
                rows.append(f"| `{name}` | `{shown}` | {meaning} |")
            case _:
                raise ValueError(f"not a parameter: {line}")
    return "\n".join(rows)


def _comment(line: str) -> str:
    tokens = tokenize.generate_tokens(io.StringIO(line).readline)
    return next((t.string[1:].strip() for t in tokens if t.type == tokenize.COMMENT), "")
