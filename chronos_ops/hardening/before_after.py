"""The same looks before and after, side by side, from what the run's own steps measured."""

from collections.abc import Mapping
from typing import Any

from chronos_ops.evidence.steps import read_steps
from chronos_ops.execution.context import Context
from chronos_ops.model.outcome import Outcome

NONE = "not looked"
_LOOKS = {
    "ports": "ports from outside (nmap)",
    "ssh-audit": "SSH algorithms (ssh-audit)",
    "sslyze": "PostgreSQL's TLS (sslyze)",
    "lynis": "the host (lynis)",
}


def rows(measures: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row a look; what was not looked at says so."""
    before = dict(measures.get("outside_before", {}))
    after = dict(measures.get("judges_after", {}))
    if ports := measures.get("outside_ports"):
        after["ports"] = "; ".join(
            f"{row['']}: open {row['open']}, {row['dropped']} of {row['ports']} dropped"
            for row in ports
        )
    found = [
        {"look": title, "before": before.get(name, NONE), "after": after.get(name, NONE)}
        for name, title in _LOOKS.items()
    ]
    counts = [audit_counts(measures.get(f"audit_{when}")) for when in ("before", "after")]
    found.append({"look": "controls of the audit", "before": counts[0], "after": counts[1]})
    return found


def audit_counts(areas: Any) -> str:
    """`12 failed, 51 passed, 3 do not apply` from the audit's counts by area."""
    if not areas:
        return NONE
    words = {
        "fail": "failed",
        "error": "broke",
        "unknown": "unknown",
        "accepted": "accepted",
        "pass": "passed",
        "not_applicable": "do not apply",
    }
    totals = {s: sum(int(counts.get(s, 0)) for counts in areas.values()) for s in words}
    return ", ".join(f"{n} {words[s]}" for s, n in totals.items() if n or s == "fail")


def before_after(context: Context) -> Outcome:
    """What the same looks saw before and after."""
    measures: dict[str, Any] = {}
    for record in read_steps(context.folder).values():
        if record.outcome is not None:
            measures.update(record.outcome.measures)
    table = rows(measures)
    return Outcome(
        summary="Seen by tools that are not ours, and by the audit.",
        table=table,
        measures={"before_after": table},
    )


before_after.probe = True  # type: ignore[attr-defined] # reads the run's own folder
