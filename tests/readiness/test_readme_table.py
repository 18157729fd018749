"""README's table has every requirement, so that none is silently unproven (R10)."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
NUMBERS = {"P": 4, "B": 9, "H": 9, "M": 8, "D": 9, "A": 2, "R": 10}  # of the specification
REQUIREMENTS = {f"{part}{n}" for part, last in NUMBERS.items() for n in range(1, last + 1)}


def named(cell: str) -> set[str]:
    """`B7, B8 runbook` and `D1-D6 drill`: the ids that a row stands for."""
    found = set(re.findall(r"\b[PBHMDAR]\d+\b", cell))
    for part, first, last in re.findall(r"\b([PBHMDAR])(\d+)-\1(\d+)\b", cell):
        found |= {f"{part}{n}" for n in range(int(first), int(last) + 1)}
    return found


def test_every_requirement_is_in_the_table() -> None:
    section = README.read_text(encoding="utf-8").partition("## What is proven where (R10)")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert {len(row) for row in cells} == {4}
    known = set().union(*(named(row[0]) for row in cells[1:]))
    assert known == REQUIREMENTS
    empty = [row[0] for row in cells[1:] if not any(row[1:])]
    assert empty == []
