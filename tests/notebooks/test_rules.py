"""The rules of a runbook (design: notebooks.md), and that each rule can fail."""

import ast
import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.model.parameters import MODELS

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SECTIONS = [
    "Overview",
    "Prerequisites",
    "Step-by-step",
    "Configuration files",
    "Testing procedures",
    "Troubleshooting",
    "References",
]
TAGS = {"parameters", "setup", "step", "chart", "always", "verdict"}
FORBIDDEN_TAGS = {"raises-exception", "skip-execution"}
IMPORTS = re.compile(
    r"chronos_ops\.(runbook\.Runbook|evidence\.report\w*|plans\.\w+|facts\.\w+)(\.\w+)*"
)
NODES: dict[type[ast.AST], str] = {
    ast.FunctionDef: "def",
    ast.AsyncFunctionDef: "def",
    ast.ClassDef: "class",
    ast.Lambda: "lambda",
    ast.Try: "try",
    ast.For: "loop",
    ast.While: "loop",
    ast.ListComp: "loop",
    ast.DictComp: "loop",
    ast.SetComp: "loop",
    ast.GeneratorExp: "loop",
}
Notebook = dict[str, Any]


def source(cell: Notebook) -> str:
    return "".join(cell["source"])


def tags(cell: Notebook) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def code(notebook: Notebook) -> list[Notebook]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def complaints(name: str, notebook: Notebook) -> Iterator[str]:
    """Everything in a notebook that breaks a rule."""
    yield from file_rules(notebook)
    yield from section_rules(notebook)
    for cell in code(notebook):
        yield from (f"{cell['id']}: {text}" for text in cell_rules(cell))
    yield from order_rules(notebook)
    yield from parameter_rules(name, notebook)


def file_rules(notebook: Notebook) -> Iterator[str]:
    if (notebook["nbformat"], notebook["nbformat_minor"]) < (4, 5):
        yield "the format has no cell ids"
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "the kernel is not python3"
    for key in set(notebook["metadata"]) - {"kernelspec", "chronos"}:
        yield f"metadata {key} is not stripped"
    ids = [cell["id"] for cell in notebook["cells"]]
    if len(ids) != len(set(ids)):
        yield "two cells have one id"
    for cell in notebook["cells"]:
        for key in set(cell["metadata"]) - {"tags"}:
            yield f"{cell['id']}: metadata {key} is not stripped"
        if cell.get("outputs") or cell.get("execution_count") is not None:
            yield f"{cell['id']}: outputs are not stripped"
        if cell["cell_type"] == "markdown" and re.search(
            r"!\[[^]]*\]\(http|<img|<script", source(cell)
        ):
            yield f"{cell['id']}: loads something from outside"


def section_rules(notebook: Notebook) -> Iterator[str]:
    lines = [
        line
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
        for line in re.sub(r"```.*?```", "", source(cell), flags=re.DOTALL).splitlines()
    ]
    if [line[3:].strip() for line in lines if line.startswith("## ")] != SECTIONS:
        yield "the sections are not the seven, in order"
    references = lines[lines.index("## References") :] if "## References" in lines else []
    for record in ("ADR-004", "ADR-011", "ADR-012"):
        if not any(record in line for line in references):
            yield f"the references lack {record}"
    if not lines or not re.fullmatch(r"# \S.*", lines[0]):
        yield "it does not begin with its title"
    if sum(line.startswith("# ") for line in lines) != 1:
        yield "it has more than one title"


def cell_rules(cell: Notebook) -> Iterator[str]:
    text = source(cell)
    if len(tags(cell)) != 1 or not tags(cell) <= TAGS:
        yield f"tags are {sorted(tags(cell))}, wanted is one of {sorted(TAGS)}"
    if tags(cell) & FORBIDDEN_TAGS:
        yield "a forbidden tag"
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", cell["id"]) or re.fullmatch(
        r"[0-9a-f]{8}(-[0-9a-f-]+)?", cell["id"]
    ):
        yield "the id is not hand-written"
    most = 24 if "parameters" in tags(cell) else 12  # a line a parameter
    if len(text.splitlines()) > most:
        yield f"more than {most} lines"
    if re.search(r"^\s*[%!]|\?\s*$", text, re.MULTILINE):
        yield "a magic or a shell command"
        return
    for node in ast.walk(ast.parse(text)):
        if type(node) in NODES:
            yield f"a {NODES[type(node)]}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            if "setup" not in tags(cell):
                yield "an import after setup"
            yield from import_rules(node)
    yield from naming_rules(cell)


def import_rules(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    module = "" if isinstance(node, ast.Import) else f"{node.module}."
    for alias in node.names:
        if not IMPORTS.fullmatch(module + alias.name):
            yield f"imports {module}{alias.name}"


def naming_rules(cell: Notebook) -> Iterator[str]:
    """A step's name in the journal is its cell's id."""
    calls = [
        node
        for node in ast.walk(ast.parse(source(cell)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "run"
    ]
    recorded = [c for c in calls if c.func.attr in ("step", "stage", "chart")]  # type: ignore[attr-defined]
    ends = [c.func.attr for c in calls if c.func.attr in ("teardown", "verdict")]  # type: ignore[attr-defined]
    names = [ast.literal_eval(call.args[0]) for call in recorded] + ends
    wanted = [] if tags(cell) & {"parameters", "setup"} else [cell["id"]]
    if names != wanted:
        yield f"records {names}, wanted is {wanted}"


def order_rules(notebook: Notebook) -> Iterator[str]:
    kinds = [next(iter(tags(cell)), "") for cell in code(notebook)]
    if kinds[:2] != ["parameters", "setup"]:
        yield "it does not begin with parameters and setup"
    if kinds.count("parameters") != 1 or kinds.count("setup") != 1 or kinds.count("verdict") != 1:
        yield "parameters, setup or verdict is there twice, or not"
    if kinds[-1:] != ["verdict"]:
        yield "the verdict is not last"
    if "always" not in kinds:
        yield "nothing tears down"
    section, before = "", ""
    for cell in notebook["cells"]:
        text = source(cell)
        if cell["cell_type"] == "markdown":
            titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
            section, before = (titles[-1] if titles else section), text
            continue
        if tags(cell) & {"parameters", "setup"} and section != "Prerequisites":
            yield f"{cell['id']}: not under Prerequisites"
        if section == "Step-by-step":
            for word in ("### ", "**What:**", "**Why:**", "**Expected:**", "**Undo:**"):
                if word not in before:
                    yield f"{cell['id']}: no {word.strip()} before it"
        before = ""


def parameter_rules(name: str, notebook: Notebook) -> Iterator[str]:
    """The parameters cell and the strict model are equal: names, order, values, types."""
    if name not in MODELS:
        yield f"no parameter model for {name}"
        return
    cell = next((c for c in code(notebook) if "parameters" in tags(c)), None)
    if cell is None:
        return
    found: list[tuple[str, Any, type]] = []
    for line in source(cell).splitlines():
        if not re.search(r"  # \S", line):
            yield f"parameters: no comment on {line!r}"
        match ast.parse(line).body:
            case [ast.Assign(targets=[ast.Name(id=target)], value=value)]:
                try:
                    literal = ast.literal_eval(value)
                except ValueError:
                    yield f"parameters: {target} is computed"
                    continue
                found.append((target, literal, type(literal)))
            case _:
                yield f"parameters: not an assignment: {line!r}"
    defaults = MODELS[name]().model_dump()
    if found != [(key, value, type(value)) for key, value in defaults.items()]:
        yield f"parameters: {found} differ from the model's {defaults}"


# -- the tests


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_runbook_keeps_the_rules(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert list(complaints(path.stem, notebook)) == []


def test_every_model_has_its_runbook() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(MODELS)


def _first(notebook: Notebook, tag: str) -> Notebook:
    return next(cell for cell in code(notebook) if tag in tags(cell))


def _says(tag: str, text: str) -> Callable[[Notebook], object]:
    return lambda notebook: _first(notebook, tag).update(source=text)


def _more(tag: str, text: str) -> Callable[[Notebook], object]:
    def spoil(notebook: Notebook) -> None:
        cell = _first(notebook, tag)
        cell["source"] = source(cell) + "\n" + text

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda n: n["metadata"].update(papermill={}), "metadata papermill is not stripped"),
        (lambda n: n["metadata"].update(language_info={}), "metadata language_info"),
        (lambda n: n["metadata"].update(kernelspec={"name": "conda"}), "not python3"),
        (lambda n: n.update(nbformat_minor=4), "no cell ids"),
        (lambda n: _first(n, "step").update(execution_count=1), "outputs are not stripped"),
        (lambda n: _first(n, "step")["metadata"].update(papermill={}), "papermill is not stripped"),
        (lambda n: _first(n, "step").update(id="1f00ba23"), "not hand-written"),
        (lambda n: _first(n, "step").update(id="other-name"), "wanted is ['other-name']"),
        (lambda n: _first(n, "step")["metadata"].update(tags=[]), "tags are []"),
        (
            lambda n: _first(n, "step")["metadata"].update(tags=["step", "raises-exception"]),
            "a forbidden tag",
        ),
        (lambda n: n["cells"].pop(), "seven"),
        (lambda n: n["cells"][-1].update(source="## References\n\nADR-004"), "lack ADR-011"),
        (lambda n: n["cells"].remove(_first(n, "verdict")), "the verdict is not last"),
        (lambda n: n["cells"].remove(_first(n, "setup")), "begin with parameters and setup"),
        (_more("step", "def f(): pass"), "a def"),
        (_more("step", "x = [i for i in y]"), "a loop"),
        (_more("step", "try:\n    x\nexcept E:\n    pass"), "a try"),
        (_more("step", "import os"), "an import after setup"),
        (_more("step", "%time"), "a magic"),
        (_more("step", "!ls"), "a magic"),
        (_more("step", "x\n" * 12), "more than 12 lines"),
        (_more("setup", "import boto3"), "imports boto3"),
        (
            _more("setup", "from chronos_ops.connectors import aws"),
            "imports chronos_ops.connectors",
        ),
        (_more("setup", "from chronos_ops.lab import control"), "imports chronos_ops.lab"),
        (_more("parameters", "extra = 1  # more"), "differ from the model"),
        (_more("parameters", "extra = 1 + x  # more"), "extra is computed"),
        (_says("parameters", 'target = "lab"'), "no comment"),
        (_says("step", 'run.step("x", y)'), "records ['x']"),
    ],
)
def test_each_rule_can_fail(spoil: Callable[[Notebook], object], said: str) -> None:
    path = NOTEBOOKS[0]
    notebook = copy.deepcopy(json.loads(path.read_text(encoding="utf-8")))
    spoil(notebook)
    assert any(said in text for text in complaints(path.stem, notebook))
