"""The result of a run as a comment on its ticket in Jira, once (R7).

Source: developer.atlassian.com, "Jira REST API v2", issue comments; Data Center has the same.
"""

import re
from collections.abc import Iterator
from typing import Any

from chronos_ops.connectors.atlassian import Atlassian
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.result import Result

_AT_ONCE = 100


def comment(result: Result, manifest: str) -> str:
    """What the ticket is told. `manifest`: the hash of the run's manifest."""
    achieved, objectives = result.achieved, result.objectives
    lines = [
        _mark(result.run_id),
        f"runbook      {result.runbook}" + (f", {result.scenario}" if result.scenario else ""),
        f"target       {result.target}",
        f"verdict      {result.verdict}",
        f"began, ended {result.started_at}, {result.ended_at}",
        f"evaluated by {result.evaluated_by} on {result.hardware}",
    ]
    for noun in ("recovery_time", "recovery_point"):
        seconds = getattr(achieved, f"{noun}_seconds")
        if seconds is not None and objectives:
            wanted = getattr(objectives, f"{noun}_seconds")
            lines.append(f"achieved {noun.replace('_', ' ')} {seconds:.1f} s of {wanted:g} s")
    good = sum(finding.good for finding in result.findings)
    lines.append(f"checks       {good} of {len(result.findings)} good")
    lines += [f"because      {reason}" for reason in result.reasons]
    lines.append(f"manifest     sha256 {manifest}" if manifest else "manifest     none")
    # Inside the braces nothing is markup, but for the braces' own word.
    inside = "\n".join(lines).replace("{noformat", "{ noformat")
    return f"{{noformat}}\n{inside}\n{{noformat}}"


def told(site: Atlassian, issue: str, run_id: str) -> bool:
    """Whether the ticket knows this run. Raises NotThere: no such ticket."""
    mark = re.compile(re.escape(_mark(run_id)) + r"(?![\w-])")
    return any(mark.search(body) for body in _comments(site, issue))


def tell(site: Atlassian, issue: str, text: str) -> None:
    """Add the comment."""
    site.post(f"rest/api/2/issue/{issue}/comment", {"body": text})


def _mark(run_id: str) -> str:
    return f"chronos-ops run {run_id}"


def _comments(site: Atlassian, issue: str) -> Iterator[str]:
    seen = 0
    while True:
        path = f"rest/api/2/issue/{issue}/comment"
        answer: Any = site.ask(path, startAt=seen, maxResults=_AT_ONCE)
        try:
            found, total = answer["comments"], int(answer["total"])
            yield from (str(one["body"]) for one in found)
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableAnswer(f"not the comments of {issue}", repr(error)) from None
        seen += len(found)
        if not found or seen >= total:
            return
