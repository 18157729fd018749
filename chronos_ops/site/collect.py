"""What the page shows of each target: runs with their seals, what they achieved, missed slots."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chronos_ops.evidence.archive import ARCHIVE
from chronos_ops.evidence.archive_verify import Looked, changed_files, verify_chain
from chronos_ops.evidence.chain import INDEX, STATEMENTS
from chronos_ops.evidence.record import RESULT, read_result
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, not_known
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.schedule import Schedule
from chronos_ops.schedule.claims import Claims
from chronos_ops.schedule.slots import MISSED, slots

HTML = "executed.html"
_SHOWN_DAYS = 30  # of the schedules' slots
VERIFIED, UNSEALED = "verified", "not sealed"
_MEASURED = (Verdict.PASSED, Verdict.DEVIATED)


@dataclass(frozen=True)
class Row:
    """One run. `seal`: verified, not sealed, or what is wrong with it."""

    folder: Path
    result: Result
    seal: str

    @property
    def shown(self) -> str:
        """The verdict; a run that nobody vouches for is never shown as passed."""
        if self.seal not in (VERIFIED, UNSEALED):
            return "not verified"
        return self.result.verdict.value

    @property
    def bad(self) -> list[Finding]:
        return [finding for finding in self.result.findings if not finding.good]

    @property
    def measured(self) -> bool:
        """A drill whose figures count."""
        known = self.result.achieved.recovery_time_seconds is not None
        return known and self.seal == VERIFIED and self.result.verdict in _MEASURED


@dataclass(frozen=True)
class Slots:
    """A schedule's last days: how many moments it had, and which of them had no run."""

    schedule: Schedule
    count: int
    missed: Sequence[datetime]


@dataclass(frozen=True)
class Target:
    """One target, its runs the newest first. `archive`: what is wrong with it as a whole."""

    name: str
    rows: Sequence[Row]
    archive: Sequence[Finding]
    sealed: int
    slots: Sequence[Slots]

    @property
    def newest(self) -> list[Row]:
        """The newest run of each runbook that was no dry run."""
        found: dict[str, Row] = {}
        for row in self.rows:
            if row.shown != Verdict.PLANNED:  # a changed run that calls itself so is shown
                found.setdefault(row.result.runbook, row)
        return [found[name] for name in sorted(found)]


Fingerprint = Callable[[str], str | None]  # of a target's key, as it is known from elsewhere


def collect(
    outputs: Path,
    fingerprint: Fingerprint,
    schedules: Callable[[str], Iterable[Schedule]],
    now: datetime,
) -> list[Target]:
    """Every target with runs or an archive. Raises UsageError: there is none."""
    names = sorted(
        {path.parent.parent.name for path in outputs.glob(f"*/*/{RESULT}")}
        | {path.parent.name for path in outputs.glob(f"*/{ARCHIVE}")}
    )
    if not names:
        raise UsageError(
            "no runs and no archive there", outputs, hint="a folder like outputs/, with targets"
        )
    return [_target(outputs / name, fingerprint(name), schedules(name), now) for name in names]


def _target(
    folder: Path, fingerprint: str | None, schedules: Iterable[Schedule], now: datetime
) -> Target:
    looked: Looked | None = None
    wrong = []
    try:
        looked = verify_chain(folder, fingerprint)
        wrong = [f for f in looked.findings if not f.good]
    except UsageError as error:
        if any((folder / ARCHIVE / name).exists() for name in (INDEX, STATEMENTS)):
            title = "The archive has the key that its runs were signed with"
            wrong = [not_known("archive.key", title, error, "R4")]
    rows = []
    for path in folder.glob(f"*/{RESULT}"):
        result = read_result(path.parent)
        if result is not None and _has_time(result):
            rows.append(Row(path.parent, result, _seal(path.parent.name, result, looked, wrong)))
    rows.sort(key=lambda row: (row.result.ended_at, row.folder.name), reverse=True)
    gone = sorted(set(looked.newest) - {row.folder.name for row in rows}) if looked else []
    return Target(
        name=folder.name,
        rows=rows,
        archive=[*wrong, *(_gone(name) for name in gone)],
        sealed=len(looked.newest) if looked else 0,
        slots=[_slots(folder, schedule, now) for schedule in schedules],
    )


def _has_time(result: Result) -> bool:
    """Else it cannot stand in its place: as unreadable as broken JSON."""
    try:
        return datetime.fromisoformat(result.ended_at).tzinfo is not None
    except ValueError:
        return False


def _gone(name: str) -> Finding:
    return Finding(
        id="archive.run",
        status="fail",
        title="A sealed run is here",
        observed=f"{name} is gone",
        expected="its folder, with its result",
        requirement="R4",
    )


def _seal(run: str, result: Result, looked: Looked | None, wrong: Sequence[Finding]) -> str:
    if wrong:
        return f"the archive does not verify: {wrong[0].title}: {wrong[0].observed}"
    one = looked.newest.get(run) if looked else None
    if looked is None or one is None:
        return UNSEALED
    if one.said.kind != "run":
        return "not sealed whole: the secret gate refused it"
    sealed = (one.said.target, one.said.verdict, one.said.runbook)
    if sealed != (result.target, result.verdict.value, result.runbook):
        return "its seal is of another result"
    changed = changed_files(looked, one)
    return f"changed since it was sealed: {'; '.join(changed[:3])}" if changed else VERIFIED


def _slots(folder: Path, schedule: Schedule, now: datetime) -> Slots:
    """Before its first claim a schedule was not there: nothing was missed."""
    claims = Claims(folder)
    mine = [c.slot for c in claims.all() if c.runbook == schedule.runbook]
    since = now - timedelta(days=_SHOWN_DAYS)
    if mine:
        first = datetime.strptime(min(mine), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        since = max(since, first)
    found = slots(schedule, claims, since, now) if mine else []
    return Slots(schedule, len(found), [slot.at for slot in found if slot.state == MISSED])
