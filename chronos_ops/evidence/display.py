"""How a step looks: the same record as HTML, Markdown and plain text."""

import base64
import html
import re
from collections.abc import Sequence
from typing import Any

from chronos_ops.evidence.steps import STEP_MIME, StepRecord
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.timing import Phase

# Okabe and Ito's colours: told apart by the colour-blind. A word always says the same too.
GREEN, ORANGE, RED, BLUE, GREY = "#00785a", "#9a6700", "#b8321f", "#0060a8", "#57606a"
_MARKS = {
    Status.PASS: ("✓", GREEN),
    Status.FAIL: ("✗", RED),
    Status.ERROR: ("✗", RED),
    Status.UNKNOWN: ("?", ORANGE),
    Status.NOT_APPLICABLE: ("·", GREY),
}
VERDICT_COLOURS = {
    Verdict.PASSED: GREEN,
    Verdict.PLANNED: BLUE,
    Verdict.DEVIATED: ORANGE,
    Verdict.FAILED: RED,
    Verdict.ABORTED: RED,
    Verdict.UNKNOWN: RED,
}
_STATUS_COLOURS = {
    "ok": GREEN,
    "would_run": BLUE,
    "running": GREY,
    "error": RED,
    "interrupted": RED,
}
_CELL = (
    "text-align:left;vertical-align:top;padding:2px 14px 2px 0;white-space:pre-wrap;"
    "overflow-wrap:anywhere"
)
_MANY, _LONG = 40, 60  # more findings, or lines of text, than one wants to scroll past
_OTHER_RUN = re.compile(r"\.\./([A-Za-z0-9-]+)/executed\.html")
_SMALL = f"color:{GREY};font-size:90%"


def duration(seconds: float) -> str:
    """`0.42 s`, `12.3 s`, `3 min 07 s`, `1 h 02 min`; `15 min` and `1 h` where that is exact."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 120:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        rest = f" {whole % 60:02d} s" if whole % 60 else ""
        return f"{whole // 60} min{rest}"
    rest = f" {whole % 3600 // 60:02d} min" if whole % 3600 >= 60 else ""
    return f"{whole // 3600} h{rest}"


def bundle(record: StepRecord, chart: str = "", banner: str = "") -> dict[str, Any]:
    """The MIME bundle of a step's one displayed object: with the chart (SVG) it drew, or as the
    verdict's banner (HTML).
    """
    drawn = chart_html(chart, record.cell) if chart else ""
    shown_as = {
        STEP_MIME: record.model_dump(mode="json", by_alias=True),
        "text/html": banner or step_html(record) + drawn,
        "text/markdown": step_markdown(record),
        "text/plain": step_plain(record),
    }
    if chart:
        shown_as["image/svg+xml"] = chart
    return shown_as


# -- HTML


def step_html(record: StepRecord) -> str:
    colour = _STATUS_COLOURS[record.status]
    head = (
        f'<div style="{_SMALL}"><b style="color:{colour}">{_words(record.status)}</b> · '
        f"{_e(record.cell)} · {duration(record.seconds)} · {_e(record.started_at[:19])}Z</div>"
    )
    parts = [head]
    if record.outcome is not None:
        outcome = record.outcome
        parts.append(f'<div style="margin:4px 0">{inline_markdown(outcome.summary)}</div>')
        parts.append(table_html(outcome.table))
        parts.append(_phases_html(outcome.phases))
        parts.append(findings_html(outcome.findings))
        parts.append(_text_html(outcome.text, fold=record.kind != "stage"))
    if record.error is not None:
        text = f"{record.error.type}: {record.error.text}"
        parts.append(f'<pre style="color:{RED};margin:4px 0;white-space:pre-wrap">{_e(text)}</pre>')
    style = f"border-left:4px solid {colour};padding:2px 0 2px 12px;margin:2px 0"
    return f'<div class="chronos-step" style="{style}">{"".join(parts)}</div>'


def chart_html(svg: str, name: str) -> str:
    """A chart inside HTML: frontends prefer HTML to SVG, and strip SVG elements out of it."""
    data = base64.b64encode(svg.encode()).decode()
    style = "max-width:100%;height:auto;background:#fff"
    return f'<img alt="chart: {_e(name)}" style="{style}" src="data:image/svg+xml;base64,{data}">'


def table_html(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    head = "".join(
        f'<th style="{_CELL};min-width:{_word(name, rows)}ch">{_e(name)}</th>' for name in rows[0]
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_CELL}">{_linked(_e(shown(row.get(name))))}</td>' for name in rows[0]
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<table style="margin:4px 0"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _linked(escaped: str) -> str:
    """The page of another run of the target, by its relative path, as a link."""
    return _OTHER_RUN.sub(r'<a href="\g<0>">\g<1></a>', escaped)


def _word(name: str, rows: Sequence[dict[str, Any]]) -> int:
    """Room for a column's longest word, so that short ones are not broken for the long texts."""
    texts = (name, *(shown(row.get(name)) for row in rows))
    return 1 + min(16, max((len(word) for text in texts for word in text.split()), default=0))


def findings_html(findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    good = [finding for finding in findings if finding.good]
    if len(findings) <= _MANY:
        return _findings_table(findings)
    bad = [finding for finding in findings if not finding.good]
    said = f"{len(good)} of {len(findings)} checks are good: show them"
    return (_findings_table(bad) if bad else "") + _folded(said, _findings_table(good))


def _folded(said: str, inside: str) -> str:
    """Out of the way until somebody wants to see it."""
    summary = f'<summary style="cursor:pointer;color:{BLUE}">{_e(said)}</summary>'
    return f'<details style="margin:4px 0">{summary}{inside}</details>'


def _findings_table(findings: Sequence[Finding]) -> str:
    rows = []
    for finding in findings:
        mark, colour = _MARKS[finding.status]
        hint = f'<br><span style="color:{colour}">{_e(finding.hint)}</span>' if finding.hint else ""
        requirement = f" ({finding.requirement})" if finding.requirement else ""
        rows.append(
            f'<tr><td style="{_CELL};color:{colour};white-space:nowrap">'
            f"<b>{mark} {_words(finding.status)}</b></td>"
            f'<td style="{_CELL};min-width:13em" title="{_e(finding.id)}">'
            f"{_e(finding.title)}{_e(requirement)}{hint}</td>"
            f'<td style="{_CELL}">{_e(finding.observed)}</td>'
            f'<td style="{_CELL};min-width:9em">{_e(finding.expected)}</td></tr>'
        )
    names = ("check", "", "observed", "expected")
    head = "".join(f'<th style="{_CELL};min-width:4em">{name}</th>' for name in names)
    body = "".join(rows)
    return (
        f'<table style="margin:4px 0"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _phases_html(phases: Sequence[Phase]) -> str:
    return table_html(_phase_rows(phases))


def _text_html(text: str, *, fold: bool = False) -> str:
    """Preformatted text; lines of a diff are coloured. Long ones can be folded away."""
    if not text:
        return ""
    lines = []
    for line in text.splitlines():
        colour = GREEN if line.startswith("+") else RED if line.startswith("-") else ""
        lines.append(f'<span style="color:{colour}">{_e(line)}</span>' if colour else _e(line))
    style = "margin:4px 0;white-space:pre-wrap;overflow-wrap:anywhere;font:0.86em/1.35 monospace"
    shown = f'<pre style="{style}">{chr(10).join(lines)}</pre>'
    return (
        _folded(f"{len(lines)} lines: show them", shown) if fold and len(lines) > _LONG else shown
    )


def verdict_html(result: Result) -> str:
    """The banner: verdict, what it is about, figures against objectives, reasons."""
    colour = VERDICT_COLOURS[result.verdict]
    about = " · ".join(
        _e(part)
        for part in (result.runbook, result.scenario or "", f"target {result.target}")
        if part
    )
    reasons = "".join(f"<li>{_e(reason)}</li>" for reason in result.reasons)
    style = f"border:2px solid {colour};border-radius:6px;padding:10px 16px;margin:8px 0"
    word = f"font-size:150%;font-weight:bold;color:{colour}"
    when = f"{result.started_at[:19]}Z to {result.ended_at[:19]}Z"
    who = f"{result.run_id} · {when} · {result.evaluated_by} · {result.hardware}"
    return (
        f'<div class="chronos-verdict" style="{style}">'
        f'<div style="{word}">{result.verdict.upper()}</div>'
        f"<div>{about}</div>{table_html(figures(result))}{_page(result)}"
        + (f'<ul style="margin:4px 0">{reasons}</ul>' if reasons else "")
        + f'<div style="{_SMALL}">{_e(who)}</div></div>'
    )


def _page(result: Result) -> str:
    """What a run wants to be read first: `measures["page"]`, {summary, table}."""
    page = result.measures.get("page") or {}
    said = inline_markdown(str(page.get("summary", "")))
    return f"<div>{said}</div>{table_html(page.get('table', ()))}" if page else ""


def figures(result: Result) -> list[dict[str, str]]:
    """Achieved against objective, as rows of a table; only what was measured."""
    achieved, objectives = result.achieved, result.objectives
    rows = []
    for name in ("recovery_time", "recovery_point"):
        value = getattr(achieved, f"{name}_seconds")
        if value is not None:
            limit = getattr(objectives, f"{name}_seconds") if objectives else None
            rows.append(
                {
                    "": "achieved " + name.replace("_", " "),
                    "measured": duration(value),
                    "objective": duration(limit) if limit is not None else "none",
                }
            )
    for name in ("lost_commits", "given_up_commits"):
        value = getattr(achieved, name)
        if value is not None:
            rows.append({"": name.replace("_", " "), "measured": f"{value:,}", "objective": ""})
    return rows


# -- Markdown and plain text


def step_markdown(record: StepRecord) -> str:
    parts = [f"**{_words(record.status)}** `{record.cell}` in {duration(record.seconds)}"]
    if record.outcome is not None:
        outcome = record.outcome
        parts.append(outcome.summary)
        parts.append(table_markdown(outcome.table))
        parts.append(table_markdown(_phase_rows(outcome.phases)))
        parts.append(table_markdown(_finding_rows(outcome.findings)))
        parts.append(f"```\n{outcome.text.rstrip()}\n```" if outcome.text else "")
    if record.error is not None:
        parts.append(f"```\n{record.error.type}: {record.error.text}\n```")
    return "\n\n".join(part for part in parts if part)


def table_markdown(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        cells = (shown(row.get(name)).replace("|", "\\|").replace("\n", "<br>") for name in rows[0])
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def step_plain(record: StepRecord) -> str:
    lines = [f"{record.cell}: {_words(record.status)} ({duration(record.seconds)})"]
    if record.outcome is not None:
        outcome = record.outcome
        lines.append(re.sub(r"[*`]", "", outcome.summary))
        for rows in (outcome.table, _phase_rows(outcome.phases)):
            lines += ["  " + "  ".join(f"{k}={shown(v)}" for k, v in row.items()) for row in rows]
        for f in outcome.findings:
            lines.append(f"  [{_words(f.status)}] {f.title}: {f.observed} (expected {f.expected})")
            lines += [f"      hint: {f.hint}"] if f.hint else []
        lines += [outcome.text.rstrip()] if outcome.text else []
    if record.error is not None:
        lines.append(f"{record.error.type}: {record.error.text}")
    return "\n".join(lines)


def _phase_rows(phases: Sequence[Phase]) -> list[dict[str, str]]:
    return [
        {"phase": p.name, "began": p.started_at[11:19] + "Z", "took": duration(p.seconds)}
        for p in phases
    ]


def _finding_rows(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [
        {
            "check": _words(f.status),
            "": f.title + (f" — {f.hint}" if f.hint else ""),
            "observed": f.observed,
            "expected": f.expected,
        }
        for f in findings
    ]


def shown(value: Any) -> str:
    """A value as a person reads it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.2f}"
        case _:
            return str(value)


def inline_markdown(text: str) -> str:
    """The little Markdown of summaries: code, bold, emphasis, paragraphs; all else escaped."""
    escaped = _e(text)
    escaped = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    escaped = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", escaped)
    escaped = re.sub(r"(?<!\w)[*_]([^*_\s][^*_]*)[*_](?!\w)", r"<i>\1</i>", escaped)
    return escaped.replace("\n\n", "<br><br>")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _e(text: str) -> str:
    return html.escape(text, quote=True)
