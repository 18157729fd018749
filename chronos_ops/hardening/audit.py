"""The security audit: every control judged from the effective state, before and after (H7).

`audit_before` measures; what fails there is what the runbook is for. `audit_after` gives one
finding a control. What could not be read is an error of the controls that read it, never a pass.
"""

import datetime
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chronos_ops.execution.context import Context
from chronos_ops.facts import iam, s3
from chronos_ops.facts.audit import Readings
from chronos_ops.facts.audit_host import audit_host
from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.errors import ChronosError, UsageError
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.hardening import AcceptedException
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.timing import utc_now
from chronos_ops.plans.controls import CONTROLS

SECONDS = 15.0  # the whole audit takes less, or it is asked in too many pieces
ACCEPTED = "accepted"
_ORDER = (*(status.value for status in Status), ACCEPTED)


@dataclass(frozen=True)
class Judged:
    """A control with its verdict, and the exception that accepts its failure, if any."""

    control: Control
    verdict: Verdict
    exception: AcceptedException | None = None

    @property
    def status(self) -> str:
        """The verdict's status, or `accepted`: failed, and knowingly so until a day to come."""
        return ACCEPTED if self.exception else self.verdict.status.value


def aws_facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What the account says of the bucket and of the host's own user."""
    bucket, user = settings.backup.bucket, settings.backup.host_iam_user
    return {
        "bucket_public_access_block": s3.public_access_block(bucket),
        "bucket_encryption": s3.encryption(bucket),
        "bucket_versioning": s3.versioning(bucket),
        "bucket_policy": s3.policy(bucket),
        "iam_access_keys": iam.access_keys(user),
        "iam_attached_policies": iam.attached_policies(user),
        "iam_groups": iam.groups(user),
    }


def take_readings(context: Context) -> Readings:
    """The host in one round trip, then the account. Raises TransportError (no way to the host)."""
    host = context.ask(audit_host(context.settings))
    values, missing = dict(host.values), dict(host.missing)
    for name, fact in aws_facts(context.settings).items():
        try:
            values[name] = context.ask(fact)
        except ChronosError as error:
            missing[name] = error.text()[:300]
    return Readings(values, missing)


def judge_all(
    settings: Settings, readings: Readings, controls: Sequence[Control] = CONTROLS
) -> list[Judged]:
    """Every control with its verdict; today's exceptions applied."""
    accepted = {e.control: e for e in settings.hardening.exceptions}
    today = utc_now().date()
    return [_judge(c, settings, readings, accepted.get(c.id), today) for c in controls]


def _judge(
    control: Control,
    settings: Settings,
    readings: Readings,
    exception: AcceptedException | None,
    today: datetime.date,
) -> Judged:
    verdict = _verdict(control, settings, readings)
    if exception is None or verdict.status is not Status.FAIL:
        return Judged(control, verdict)
    if exception.accepted > today:
        said = f"{verdict.observed} (the exception begins on {exception.accepted} only)"
        return Judged(control, Verdict(Status.FAIL, said, verdict.expected))
    if exception.expires <= today:
        said = f"{verdict.observed} (the exception of {exception.by} ended on {exception.expires})"
        return Judged(control, Verdict(Status.FAIL, said, verdict.expected))
    return Judged(control, verdict, exception)


def _verdict(control: Control, settings: Settings, readings: Readings) -> Verdict:
    gone = [name for name in control.reads if name not in readings.values]
    if gone:
        why = "; ".join(f"{name}: {readings.missing.get(name, 'not asked')}" for name in gone)
        return Verdict(Status.ERROR, f"could not be read: {why}", "a reading")
    try:
        return control.judge(settings, readings.values)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        said = f"the judge broke: {type(error).__name__}: {error}"
        return Verdict(Status.ERROR, said, "a verdict")


def unknown_exceptions(settings: Settings, controls: Sequence[Control] = CONTROLS) -> None:
    """Raise UsageError where an exception names a control that there is not."""
    known = {control.id for control in controls}
    wrong = sorted({e.control for e in settings.hardening.exceptions} - known)
    if wrong:
        import difflib

        near = [m for name in wrong for m in difflib.get_close_matches(name, known, n=1)]
        raise UsageError(
            "hardening.exceptions names a control that there is not",
            ", ".join(wrong),
            hint=f"did you mean {', '.join(near)}?" if near else "see the audit's table",
        )


def counts(judged: Iterable[Judged]) -> dict[str, dict[str, int]]:
    """{area: {status: number}}; an accepted failure counts as `accepted`."""
    found: dict[str, dict[str, int]] = {}
    for item in judged:
        area = found.setdefault(item.control.area, {})
        area[item.status] = area.get(item.status, 0) + 1
    return found


def finding_of(item: Judged) -> Finding:
    """The finding of one control. An accepted failure passes, and says who accepted it and why."""
    control, verdict, exception = item.control, item.verdict, item.exception
    observed, status, title = verdict.observed, verdict.status, control.title
    if exception is not None:
        status, title = Status.PASS, f"{control.title} (accepted exception)"
        observed = (
            f"accepted until {exception.expires} by {exception.by} on {exception.accepted}: "
            f"{exception.reason} (seen: {observed})"
        )
    good = status in (Status.PASS, Status.NOT_APPLICABLE)
    return Finding(
        id=f"audit.{control.id}",
        status=status,
        title=title,
        observed=observed[:600],
        expected=verdict.expected[:600],
        hint="" if good else f"{control.mend} ({control.reference})",
        requirement="H7",
    )


def _table(areas: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    shown = [s for s in _ORDER if any(s in found for found in areas.values())]
    rows: list[dict[str, Any]] = [
        {"area": area, **{s: found.get(s, 0) for s in shown}} for area, found in areas.items()
    ]
    total = {s: sum(found.get(s, 0) for found in areas.values()) for s in shown}
    return [*rows, {"area": "all", **total}]


def _summary(judged: Sequence[Judged], seconds: float) -> str:
    totals: dict[str, int] = {}
    for item in judged:
        totals[item.status] = totals.get(item.status, 0) + 1
    said = ", ".join(f"{totals[s]} {s.replace('_', ' ')}" for s in _ORDER if s in totals)
    return f"{len(judged)} controls in {seconds:.1f} s: {said}."


def _text(judged: Sequence[Judged]) -> str:
    """What failed, and what was accepted: a line each."""
    lines = []
    for item in judged:
        if item.status in (Status.PASS.value, Status.NOT_APPLICABLE.value):
            continue
        lines.append(f"{item.status:9} {item.control.id}: {item.control.title}")
        lines.append(f"          seen {item.verdict.observed[:160]}")
        if item.exception is not None:
            e = item.exception
            lines.append(f"          accepted {e.accepted} to {e.expires} by {e.by}: {e.reason}")
        else:
            lines.append(f"          {item.control.reference}; mend: {item.control.mend}")
    return "\n".join(lines)


def _audit(context: Context, measure: str) -> tuple[list[Judged], Outcome]:
    unknown_exceptions(context.settings)
    context.say("reading the host's effective state …")
    began = time.monotonic()
    readings = take_readings(context)
    judged = judge_all(context.settings, readings)
    seconds = time.monotonic() - began
    areas = counts(judged)
    outcome = Outcome(
        summary=_summary(judged, seconds),
        table=_table(areas),
        text=_text(judged),
        measures={measure: areas, f"{measure}_seconds": round(seconds, 2)},
    )
    return judged, outcome


def audit_before(context: Context) -> Outcome:
    """Judge every control, to compare with; what fails here does not fail the run.

    Raises UsageError: an exception names an unknown control.
    """
    _, outcome = _audit(context, "audit_before")
    return outcome


def audit_after(context: Context) -> Outcome:
    """Judge every control from the effective state: a finding each.

    Raises UsageError: an exception names an unknown control.
    """
    judged, outcome = _audit(context, "audit_after")
    return outcome.model_copy(update={"findings": [finding_of(item) for item in judged]})


# Changes nothing. The one after is no probe: in a dry run it would say the same once more.
audit_before.probe = True  # type: ignore[attr-defined]
