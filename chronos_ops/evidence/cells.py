"""The code cells of a notebook file: their ids and tags, and what is known of their execution."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chronos_ops.evidence.folder import read_json
from chronos_ops.evidence.record import CellProof
from chronos_ops.model import errors
from chronos_ops.model.errors import ChronosError


def code_cells(notebook: Path) -> list[CellProof]:
    """The code cells of a notebook file, none of them executed. Empty if it cannot be read."""
    data = read_json(notebook)
    cells = data.get("cells", []) if isinstance(data, dict) else []
    return [
        CellProof(str(cell.get("id", "")), tags_of(cell), executed=False)
        for cell in cells
        if cell.get("cell_type") == "code"
    ]


def executed_cells(notebook: Path) -> list[CellProof]:
    """What a notebook file proves of its code cells. Empty if it cannot be read."""
    data = read_json(notebook)
    return executed_of(data) if isinstance(data, dict) else []


def executed_of(notebook: Mapping[str, Any]) -> list[CellProof]:
    """What an executed notebook proves of its code cells, those without code left out."""
    code = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    return [proof_of(cell) for cell in code if "".join(cell["source"]).strip()]


def tags_of(cell: Mapping[str, Any]) -> frozenset[str]:
    """A cell's tags."""
    return frozenset(cell.get("metadata", {}).get("tags", []))


def proof_of(cell: Mapping[str, Any]) -> CellProof:
    """What an executed notebook's code cell proves: an execution count and no error output."""
    wrong = [o for o in cell.get("outputs", []) if o.get("output_type") == "error"]
    kind = str(wrong[0].get("ename", "")) if wrong else ""
    return CellProof(
        id=str(cell.get("id", "")),
        tags=tags_of(cell),
        executed=cell.get("execution_count") is not None,
        error=kind,
        text=str(wrong[0].get("evalue", "")) if wrong else "",
        exit_status=exit_status_of(kind),
    )


def exit_status_of(kind: str) -> int:
    """The exit status that an exception's class name stands for."""
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, ChronosError):
        return found.exit_status
    return 1
