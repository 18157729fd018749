"""readiness.md: one page, for who decides (R8)."""

from collections.abc import Mapping, Sequence
from typing import Any

FILE = "readiness.md"
LAB = (
    "This target is a **lab** (`disposable: true`): whatever is written here proves nothing for "
    "production."
)
_MARKS = {"pass": "yes", "fail": "**no**", "unknown": "**not known**"}


def page(facts: Mapping[str, str], rows: Sequence[Mapping[str, Any]], lab: bool) -> str:
    """`facts`: target, when, who, on what. `rows`: as `session` makes them."""
    ready = sum(row["ready"] for row in rows)
    whole = ready == len(rows)
    lines = [
        f"# Production readiness: {facts['target']}",
        "",
        f"**{'READY' if whole else 'NOT READY'}: {ready} of {len(rows)} items are met.**",
        "",
    ]
    if lab:
        lines += [LAB, ""]
    lines += [f"- {name}: {said}" for name, said in facts.items()]
    lines += ["", "| | item | so now | proven | evidence |", "|---|---|---|---|---|"]
    for number, row in enumerate(rows, start=1):
        shown = ", ".join(f"[{e['run']}]({e['link']}) ({e['age']})" for e in row["evidence"])
        now, proven = _MARKS[row["live"]], "yes" if row["proven"] else "**no**"
        lines.append(f"| {number} | {row['title']} | {now} | {proven} | {shown or 'none'} |")
    if not whole:
        lines += ["", "## What is missing", ""]
        lines += [
            f"- **{row['title']}**: {row['missing']}. _To do:_ {row['mend']}."
            for row in rows
            if not row["ready"]
        ]
    runs = {e["run"]: e for row in rows for e in row["evidence"]}
    if runs:
        lines += ["", "## Who evaluated, and on what", ""]
        lines += [f"- {name}: {e['by']}, {e['hardware']}" for name, e in runs.items()]
    return "\n".join(lines) + "\n"
