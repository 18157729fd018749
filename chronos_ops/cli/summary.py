"""A run's result as a person reads it in a terminal."""

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.result import Result, Verdict

_COLOURS = {
    Verdict.PASSED: "green",
    Verdict.PLANNED: "cyan",
    Verdict.DEVIATED: "yellow",
    Verdict.FAILED: "red",
    Verdict.ABORTED: "red",
    Verdict.UNKNOWN: "red",
}
_FINDING_COLOURS = {Status.PASS: "green", Status.NOT_APPLICABLE: "dim"}


def print_result(result: Result, folder: Path) -> None:
    """The summary of a run on standard output."""
    Console(highlight=False).print(summary(result, folder))


def verdict_text(verdict: Verdict) -> Text:
    """The verdict in its colour."""
    return Text(verdict.value, style=f"bold {_COLOURS[verdict]}")


def duration(seconds: float | None) -> str:
    """Seconds as `1 h 02 min`, `2 min 05 s` or `7.3 s`; `not measured` for None."""
    if seconds is None:
        return "not measured"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def summary(result: Result, folder: Path) -> RenderableType:
    """Verdict, phases, achieved against objectives, what did not pass, where the evidence is."""
    parts: list[RenderableType] = [_headline(result)]
    parts += [Text(f"  {reason}", style="yellow") for reason in result.reasons]
    if result.phases:
        parts.append(_phases(result))
    if _measured(result):
        parts.append(_achieved(result))
    parts += _findings(result.findings)
    parts.append(Text.assemble("Evidence: ", (str(folder), "bold")))
    return Group(*parts)


def _headline(result: Result) -> Text:
    scenario = f", scenario {result.scenario}" if result.scenario else ""
    return Text.assemble(
        ("\n" + result.runbook, "bold"),
        f" on {result.target}{scenario}: ",
        verdict_text(result.verdict),
        f"  ({result.run_id})",
    )


def _phases(result: Result) -> Table:
    table = Table("phase", "began (UTC)", title="Phases", title_justify="left")
    table.add_column("took", justify="right")
    for phase in result.phases:
        table.add_row(phase.name, phase.started_at[11:19], duration(phase.seconds))
    return table


def _measured(result: Result) -> bool:
    achieved = result.achieved
    return achieved.recovery_time_seconds is not None or achieved.lost_commits is not None


def _achieved(result: Result) -> Table:
    achieved, objectives = result.achieved, result.objectives
    table = Table("", title="Achieved against the objectives", title_justify="left")
    for name in ("achieved", "objective", ""):
        table.add_column(name, justify="right")
    for name, value, limit in (
        ("recovery time", achieved.recovery_time_seconds, "recovery_time_seconds"),
        ("recovery point", achieved.recovery_point_seconds, "recovery_point_seconds"),
    ):
        bound = getattr(objectives, limit) if objectives else None
        table.add_row(name, duration(value), _bound(bound), _kept(value, bound))
    table.add_row("  to the first write", duration(achieved.first_write_seconds), "", "")
    table.add_row("  to the verified database", duration(achieved.verified_seconds), "", "")
    table.add_row("lost commits", _count(achieved.lost_commits), "", "")
    if achieved.given_up_commits is not None:
        table.add_row("commits given up after the target", _count(achieved.given_up_commits))
    return table


def _count(number: int | None) -> str:
    return "not measured" if number is None else str(number)


def _bound(limit: float | None) -> str:
    return "none" if limit is None else f"< {duration(limit)}"


def _kept(value: float | None, limit: float | None) -> Text:
    if value is None or limit is None:
        return Text("not known", style="red")
    return Text("kept", style="green") if value < limit else Text("MISSED", style="bold red")


def _findings(findings: list[Finding]) -> list[RenderableType]:
    if not findings:
        return []
    good = sum(finding.good for finding in findings)
    parts: list[RenderableType] = [Text(f"Checks: {good} of {len(findings)} good")]
    wrong = [finding for finding in findings if not finding.good]
    if wrong:
        table = Table("check", "status", "observed", "expected", "hint")
        for finding in wrong:
            status = Text(finding.status.value, style=_FINDING_COLOURS.get(finding.status, "red"))
            table.add_row(
                Text(finding.title),
                status,
                Text(finding.observed),
                Text(finding.expected),
                Text(finding.hint),
            )
        parts.append(table)
    return parts
