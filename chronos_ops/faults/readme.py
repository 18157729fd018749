"""The score in the README: one line between markers, written from a run's result alone."""

from pathlib import Path

from pydantic import ValidationError

from chronos_ops.evidence.folder import PARAMETERS, read_json, write_text
from chronos_ops.evidence.manifest import differences
from chronos_ops.evidence.record import RESULT
from chronos_ops.faults.fault import registry
from chronos_ops.model.errors import UsageError
from chronos_ops.model.result import Result

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"


def newest_score(root: Path) -> Result:
    """The newest whole run of all faults that reached its score, else of most of them.

    Raises UsageError: none.
    """
    found: dict[tuple[int, str], Result] = {}
    for path in (root / "outputs").glob(f"*/*-faults-*/{RESULT}"):
        given = (read_json(path.parent / PARAMETERS) or {}).get("parameters", {})
        try:
            result = Result.model_validate(read_json(path))
        except ValidationError:
            continue
        if result.measures.get("score") and not differences(path.parent):
            tried = result.measures["score"]["total"] if given.get("only") else len(registry())
            found[tried, result.ended_at] = result
    if not found:
        raise UsageError("no run of faults is here that has a score", hint="./chronos faults run")
    return found[max(found)]


def line(result: Result) -> str:
    """One sentence, with what a reader needs to doubt it."""
    score = result.measures["score"]
    total, known = score["total"], len(registry())
    some = "" if total >= known else f" tried (the catalogue has {known})"
    alarms = "alarm" if score["false_alarms"] == 1 else "alarms"
    missed = [row["fault"] for row in result.measures["faults"] if not row["detected"]]
    return (
        f"**{score['detected']} of {total}** faults{some} were named, each by the finding that "
        f"stands for it and with a mend{f' (not: {chr(44).join(missed)})' if missed else ''}; "
        f"**{score['false_alarms']}** false {alarms} in {score['controls']} runs without a fault. "
        f"From the strike to the finding: {score['seconds_median']} s in the median, "
        f"{score['seconds_worst']} s at worst. Run `{result.run_id}` on the lab "
        f"`{result.target}`, {result.ended_at[:10]} ({result.hardware})."
    )


def write_line(root: Path) -> bool:
    """Put it between the markers; True if the README changed. Raises UsageError."""
    path = root / "README.md"
    text = path.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _old, end, tail = rest.partition(END)
    if not begin or not end:
        raise UsageError("README.md lacks the markers of the faults' line", f"{BEGIN} … {END}")
    new = f"{head}{BEGIN}\n{line(newest_score(root))}\n{END}{tail}"
    if new != text:
        write_text(path, new)
    return new != text
