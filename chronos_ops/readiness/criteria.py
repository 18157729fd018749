"""The acceptance criteria by requirement: what the newest sealed runs say of each (R8)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chronos_ops.evidence.folder import read_json
from chronos_ops.model.finding import Status
from chronos_ops.readiness.items import BACKUP, DRILL, HARDENING, MONITORING
from chronos_ops.readiness.shelf import Run, Shelf, age_text


@dataclass(frozen=True)
class Criterion:
    """Shown by findings of its requirement, or by the `step` that was carried out."""

    requirement: str
    title: str
    runbook: str
    step: str = ""


CRITERIA = (
    Criterion("B1", "bucket, and least rights for the host", BACKUP),
    Criterion("B2", "lifecycle that harms no repository", BACKUP),
    Criterion("B3", "pgBackRest, WAL archiving", BACKUP),
    Criterion("B4", "encryption, passphrase outside", BACKUP),
    Criterion("B5", "full backup, check, point in time", BACKUP),
    Criterion("B6", "schedule and retention", BACKUP),
    Criterion("B7", "the runbook ran to its end", BACKUP, "verdict"),
    Criterion("B8", "objectives shown met", BACKUP),
    Criterion("B9", "verification that cannot lie", BACKUP),
    Criterion("H1", "firewalls", HARDENING),
    Criterion("H2", "bans", HARDENING),
    Criterion("H3", "SSH by keys only", HARDENING),
    Criterion("H4", "certificate, renewing itself", HARDENING),
    Criterion("H5", "PostgreSQL over TLS only", HARDENING),
    Criterion("H6", "security updates", HARDENING),
    Criterion("H7", "security audit", HARDENING),
    Criterion("H8", "access control documented", HARDENING),
    Criterion("H9", "no lock-out: guarded stages", HARDENING, "host-firewall"),
    Criterion("M1", "alarms on disk, CPU, memory", MONITORING),
    Criterion("M2", "metrics from the host", MONITORING),
    Criterion("M3", "notifications", MONITORING),
    Criterion("M4", "every alarm tested", MONITORING),
    Criterion("M5", "dashboard", MONITORING, "dashboard"),
    Criterion("M6", "cost against the budget", MONITORING),
    Criterion("M7", "thresholds documented", MONITORING),
    Criterion("M8", "beyond the host's vitals", MONITORING, "alarms"),
    Criterion("D1", "test database", DRILL),
    Criterion("D2", "baseline backup", DRILL, "baseline-backup"),
    Criterion("D3", "simulated loss, and only of its own", DRILL),
    Criterion("D4", "restore, never over a live cluster", DRILL),
    Criterion("D5", "integrity after the restore", DRILL),
    Criterion("D6", "achieved recovery time and point", DRILL),
    Criterion("D7", "recovery to a moment, LSN, xid, name", DRILL),
    Criterion("D8", "the runbook ran to its end", DRILL, "verdict"),
    Criterion("D9", "recovery for real", DRILL),
)


def judge_criteria(shelf: Shelf, longest_days: float) -> list[dict[str, Any]]:
    """A row for each: `shown` is pass, a finding's status, or unknown where nothing is known."""
    runs = {each.runbook: shelf.newest(each.runbook) for each in CRITERIA}
    return [_row(each, runs, shelf, longest_days) for each in CRITERIA]


def _row(
    each: Criterion, runs: Mapping[str, Run | None], shelf: Shelf, longest_days: float
) -> dict[str, Any]:
    run = runs[each.runbook]
    status, said = _judged(each, run, shelf, longest_days)
    return {
        "requirement": each.requirement,
        "criterion": each.title,
        "shown": status.value,
        "by": said,
        "age": age_text(shelf.age(run)) if run else "",
        "run": run.folder.name if run else "",
    }


def _judged(
    each: Criterion, run: Run | None, shelf: Shelf, longest_days: float
) -> tuple[Status, str]:
    if run is None:
        return Status.UNKNOWN, f"no run of {each.runbook}"
    if why := shelf.why_not(run, longest_days):
        return Status.UNKNOWN, why
    mine = [f for f in run.result.findings if f.requirement == each.requirement]
    bad = [f for f in mine if not f.good]
    if bad:
        return bad[0].status, f"{bad[0].id}: {bad[0].observed}"
    passed = [f for f in mine if f.status is Status.PASS]
    if passed:
        return Status.PASS, f"{len(passed)} checks"
    done = each.step and (read_json(run.folder / f"steps/{each.step}.json") or {}).get("status")
    if done == "ok":
        return Status.PASS, f"its step `{each.step}`"
    return Status.UNKNOWN, "that run says nothing of it"
