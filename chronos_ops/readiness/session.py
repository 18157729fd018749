"""The steps of the readiness runbook: `run.step("items", run.readiness.items)` and others (R8)."""

import time
from collections.abc import Sequence
from typing import Any

from chronos_ops.evidence.folder import write_text
from chronos_ops.evidence.record import evaluated_by, hardware
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, Status, not_known
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.timing import stamp, utc_now
from chronos_ops.readiness.criteria import judge_criteria
from chronos_ops.readiness.item import Item
from chronos_ops.readiness.items import ITEMS
from chronos_ops.readiness.live import look_at, status_of
from chronos_ops.readiness.page import FILE, LAB, page
from chronos_ops.readiness.shelf import DAY, Answer, Shelf, age_text, read_shelf

_SHOWN, _LONG = 3, 130  # in the plain words of an item; its full text stands below the table


class Readiness:
    """One look: the archive is read once, and what two items ask for is asked once."""

    def __init__(self) -> None:
        self._shelf: Shelf | None = None

    def items(self, context: Context) -> Outcome:
        """Judge each of the ten items: what is there now, and what was proven of it."""
        shelf = self._read(context)
        kept: dict[str, list[Finding]] = {}
        reached = _reached(context)
        rows, findings, seen = [], [], []
        for item in ITEMS:
            live = [reached] if reached else look_at(item, context, kept)
            longest = item.longest_days or _longest(context)
            answers = [shelf.decide(wanted, longest) for wanted in item.evidence]
            row = judge_item(item, live, answers)
            rows.append(row)
            seen += [_line(item, finding) for finding in live]
            findings.append(_finding(item, row))
        lab = context.settings.disposable
        facts = {
            "target": f"{context.settings.target} (AWS account {context.settings.aws.account_id})",
            "when": f"{stamp(utc_now())[:19]}Z, run {context.run_id}",
            "evaluated by": evaluated_by(),
            "on": hardware(),
        }
        write_text(context.folder / FILE, page(facts, rows, lab))
        ready = sum(row["ready"] for row in rows)
        said = "**Ready.**" if ready == len(rows) else "**Not ready.**"
        summary = (
            f"{said} {ready} of {len(rows)} items are met: there now, and proven by sealed "
            f"evidence that is young enough. `{FILE}` is the page to hand on."
        )
        summary += f"\n\n{LAB}" if lab else ""
        table = [_shown(number, row) for number, row in enumerate(rows, start=1)]
        return Outcome(
            summary=summary,
            table=table,
            findings=findings,
            measures={"readiness": rows, "page": {"summary": summary, "table": table}},
            text="\n".join(seen),
        )

    def archive(self, context: Context) -> Outcome:
        """Say which runs decide, and whether the archive vouches for them."""
        shelf = self._read(context)
        names = dict.fromkeys(e.runbook for item in ITEMS for e in item.evidence)
        table = []
        for runbook in names:
            run = shelf.newest(runbook)
            why = shelf.why_not(run, _longest(context)) if run else "it never ran"
            table.append(
                {
                    "runbook": runbook,
                    "newest run": run.folder.name if run else "",
                    "age": age_text(shelf.age(run)) if run else "",
                    "evidence": f"no: {why}" if why else "yes",
                    "evaluated by": run.result.evaluated_by if run else "",
                    "on": run.result.hardware if run else "",
                }
            )
        counted = sum(row["evidence"] == "yes" for row in table)
        return Outcome(
            summary=f"{len(shelf.runs)} earlier runs on this target; of {len(table)} runbooks the "
            f"newest run counts as evidence for {counted}.",
            table=table,
            findings=list(shelf.findings),
        )

    def criteria(self, context: Context) -> Outcome:
        """List the acceptance criteria by requirement, each with its newest sealed findings."""
        rows = judge_criteria(self._read(context), _longest(context))
        shown = sum(row["shown"] == Status.PASS for row in rows)
        return Outcome(
            summary=f"{shown} of {len(rows)} acceptance criteria are shown by sealed evidence. "
            "They explain the verdict; the ten items make it.",
            table=rows,
            measures={"criteria": rows},
        )

    # Nothing is changed: in a dry run they look all the same.
    for _step in (items, archive, criteria):
        _step.probe = True  # type: ignore[attr-defined]

    def _read(self, context: Context) -> Shelf:
        if self._shelf is None:
            context.say("verifying the archive …")
            folder = context.folder.parent
            self._shelf = read_shelf(
                context.settings, context.aws, folder, context.run_id, time.time()
            )
        return self._shelf


def _longest(context: Context) -> float:
    return float(getattr(context.parameters, "longest_age_days", 35))


def _reached(context: Context) -> Finding | None:
    """One try: without a way to the host every look would wait for its own time-out."""
    try:
        context.ssh.open()
    except ChronosError as error:
        return not_known("readiness.host", "The host answers", error, "R8")
    return None


def judge_item(item: Item, live: Sequence[Finding], answers: Sequence[Answer]) -> dict[str, Any]:
    """A row: `live` (pass, fail, unknown), `proven`, `ready`, what is missing in plain words."""
    now = status_of(live)
    bad = [f"{f.title}: {_short(f.observed)}" for f in live if not f.good]
    if now is Status.UNKNOWN and not bad:
        bad = ["nothing of it is there to be looked at"]
    more = [f"and {len(bad) - _SHOWN} more"] if len(bad) > _SHOWN else []
    missing = ["; ".join([*bad[:_SHOWN], *more])] if now is not Status.PASS else []
    missing += [
        f"{answer.run.folder.name} is no evidence: {answer.why}" if answer.run else answer.why
        for answer in answers
        if answer.why
    ]
    proven = bool(answers) and not any(answer.why for answer in answers)
    return {
        "item": item.id,
        "title": item.title,
        "requirements": ", ".join(item.requirements),
        "live": now.value,
        "proven": proven,
        "ready": now is Status.PASS and proven,
        "missing": ". ".join(missing),
        "mend": item.mend,
        "evidence": [_evidence(answer) for answer in answers if answer.run],
    }


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONG else f"{line[:_LONG].rstrip()} …"


def _line(item: Item, finding: Finding) -> str:
    return f"{finding.status:14} {item.id}: {finding.title}: {finding.observed}"


def _evidence(answer: Answer) -> dict[str, Any]:
    assert answer.run is not None
    return {
        "run": answer.run.folder.name,
        "link": answer.run.link,
        "counts": not answer.why,
        "age": age_text(answer.age_days * DAY) if answer.age_days is not None else "",
        "hardware": answer.run.result.hardware,
        "by": answer.run.result.evaluated_by,
    }


def _finding(item: Item, row: dict[str, Any]) -> Finding:
    """One for each item. Neither half alone passes."""
    status = Status.PASS if row["ready"] else Status.FAIL
    if row["live"] == Status.UNKNOWN:
        status = Status.UNKNOWN
    return Finding(
        id=f"readiness.{item.id}",
        status=status,
        title=item.title,
        observed=row["missing"] or "there now, and proven",
        expected="there now, and proven by sealed evidence",
        hint="" if row["ready"] else item.mend,
        requirement="R8",
    )


def _shown(number: int, row: dict[str, Any]) -> dict[str, Any]:
    evidence = [f"{e['link']} ({e['age']}; {e['by']}; {e['hardware']})" for e in row["evidence"]]
    return {
        "": number,
        "item": row["title"],
        "ready": "yes" if row["ready"] else "NO",
        "now": {"pass": "yes", "fail": "NO"}.get(row["live"], "not known"),
        "proven": "yes" if row["proven"] else "NO",
        "evidence": "\n".join(evidence) or "none",
    }
