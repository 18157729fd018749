"""Thresholds, written down from what is deployed (M7)."""

import re
from collections.abc import Mapping
from typing import Any

from chronos_ops.evidence.folder import write_text
from chronos_ops.execution.context import Context
from chronos_ops.facts.cloudwatch import Deployed
from chronos_ops.model.finding import judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.monitoring.back_test import deployed_alarms

FILE = "thresholds.md"
_REASON = re.compile(r"Why: (?P<why>.*)\. What to do: (?P<mend>.*?)\.?$", re.DOTALL)
_RUNBOOK = re.compile(r"runbook (\w+)")


def thresholds(context: Context) -> Outcome:
    """Write the alarms' manual from the deployed ones: threshold, why, what to do, runbook."""
    deployed = deployed_alarms(context)
    table = [row(each) for each in deployed.values()]
    unexplained = [
        str(line["alarm"]) for line in table if not line["why"] or not line["what to do"]
    ]
    write_text(context.folder / FILE, document(context.settings.target, context.run_id, table))
    finding = judge(
        "monitoring.thresholds",
        "Every deployed alarm says why it is there and what to do",
        passed=not unexplained,
        observed=", ".join(unexplained) or f"{len(deployed)} alarms",
        expected="a reason and a mend in each description",
        hint="run the stage `alarms`",
        requirement="M7",
    )
    return Outcome(
        summary=f"`{FILE}`: {len(table)} alarms as they are deployed.",
        table=table,
        findings=[finding],
    )


thresholds.probe = True  # type: ignore[attr-defined] # writes into the run's folder alone


def row(deployed: Deployed) -> dict[str, Any]:
    """One alarm. The reasons are those of its own description."""
    reason = _REASON.search(deployed.description)
    mend = reason["mend"] if reason else ""
    runbook = _RUNBOOK.search(mend)
    alarm = deployed.alarm
    found: dict[str, Any] = {"alarm": deployed.name, "metric": "", "threshold": "", "periods": ""}
    if alarm is not None:
        sign = ">" if alarm.comparison.startswith("Greater") else "<"
        equal = "=" if "OrEqual" in alarm.comparison else ""
        of = f"{alarm.datapoints_to_alarm} of {alarm.evaluation_periods}"
        found |= {
            "metric": alarm.metric,
            "threshold": f"{alarm.statistic} {sign}{equal} {alarm.threshold:g}",
            "periods": f"{of} x {alarm.period_seconds} s; missing: {alarm.treat_missing_data}",
        }
    return found | {
        "why": reason["why"] if reason else "",
        "what to do": mend,
        "runbook": runbook[1] if runbook else "",
        "state": deployed.state + ("" if deployed.enabled else " (actions are off)"),
    }


def document(target: str, run_id: str, table: list[dict[str, Any]]) -> str:
    """The Markdown file; without the state, which is no threshold."""
    lines = [
        f"# Alarms: {target}",
        "",
        f"Generated from the deployed alarms by run `{run_id}`.",
        "",
    ]
    if not table:
        return "\n".join([*lines, "None is deployed.", ""])
    columns = [name for name in table[0] if name != "state"]
    lines += [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(line, name) for name in columns)} |" for line in table]
    return "\n".join(lines) + "\n"


def _cell(line: Mapping[str, Any], name: str) -> str:
    return str(line[name]).replace("|", "\\|").replace("\n", " ") or "-"
