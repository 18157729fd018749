"""Which runs of the archive are evidence for this target, and why another is not (R8, R4)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from chronos_ops.connectors.aws import Aws
from chronos_ops.evidence.archive_bucket import Bucket
from chronos_ops.evidence.archive_locks import verify_bucket
from chronos_ops.evidence.archive_verify import Looked, changed_files, verify_chain
from chronos_ops.evidence.folder import PARAMETERS, read_json
from chronos_ops.evidence.record import RESULT, read_result
from chronos_ops.evidence.trust import known_fingerprint
from chronos_ops.model.errors import ChronosError, UsageError
from chronos_ops.model.finding import Finding, Status, judge, not_known
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.readiness.item import Evidence

DAY = 86400.0
_ENDED = (Verdict.PASSED, Verdict.DEVIATED)  # it came to its end: what is not there was left out
_AHEAD = -300.0  # seconds that a clock may be ahead of ours


@dataclass(frozen=True)
class Run:
    """An ended run in the target's folder."""

    folder: Path
    result: Result

    @property
    def link(self) -> str:
        """Of its executed notebook, as seen from another run's folder."""
        return f"../{self.folder.name}/executed.html"


@dataclass(frozen=True)
class Answer:
    """The run that decides about a wanted evidence. `why` it does not prove it; empty: it does."""

    wanted: Evidence
    run: Run | None
    why: str
    age_days: float | None = None


def age_text(seconds: float) -> str:
    """`5.2 h`, `12.0 days`."""
    return f"{seconds / DAY:.1f} days" if seconds >= 2 * DAY else f"{seconds / 3600:.1f} h"


@dataclass
class Shelf:
    """A target's runs, and its archive as it was verified. `looked`: None where there is none."""

    settings: Settings
    runs: Sequence[Run]  # the newest first
    looked: Looked | None
    findings: Sequence[Finding]  # about the archive as a whole
    now: float
    _seals: dict[str, str] = field(default_factory=dict)

    def age(self, run: Run) -> float:
        """Seconds since it ended."""
        return self.now - datetime.fromisoformat(run.result.ended_at).timestamp()

    def why_not(self, run: Run, longest_days: float) -> str:
        """Why a run is no evidence for this target now. Empty: it is."""
        age = self.age(run) / DAY
        if run.folder.name not in self._seals:
            self._seals[run.folder.name] = self._of_elsewhere(run) or self._seal(run)
        if why := self._seals[run.folder.name]:
            return why
        if run.result.verdict is not Verdict.PASSED:
            return f"its verdict is {run.result.verdict}"
        if not run.result.evaluated_by or not run.result.hardware:
            return "it does not say who evaluated it, and on what hardware"
        if age * DAY < _AHEAD:
            return f"it ended in the future ({run.result.ended_at})"
        if age > longest_days:
            return f"{age:.0f} days old, at most {longest_days:g} are allowed"
        return ""

    def _of_elsewhere(self, run: Run) -> str:
        """Another target, account or instance; a lab's never counts for what is none."""
        own = self.settings
        if run.result.target != own.target:
            return f"of another target: {run.result.target}"
        given: dict[str, Any] = (read_json(run.folder / PARAMETERS) or {}).get("settings") or {}
        aws, host = given.get("aws") or {}, given.get("host") or {}
        if given.get("disposable") is not own.disposable:
            return "of a lab" if given.get("disposable") else "not of this lab"
        pairs = (
            ("AWS account", aws.get("account_id"), own.aws.account_id),
            ("AWS endpoint", aws.get("endpoint_url"), own.aws.endpoint_url),
            ("instance", host.get("instance"), own.host.instance),
        )
        return next((f"of another {noun}: {seen}" for noun, seen, is_ in pairs if seen != is_), "")

    def _seal(self, run: Run) -> str:
        """Sealed by this target's key, in its place in the chain, and unchanged since."""
        bad = next((f for f in self.findings if not f.good), None)
        if bad is not None or self.looked is None:
            said = f"{bad.title}: {bad.observed}" if bad else "there is none"
            return f"the archive does not vouch for it ({said})"
        name = run.folder.name
        one = self.looked.newest.get(name)
        if one is None:
            return f"not sealed (./chronos archive push --target {self.settings.target})"
        if one.said.kind != "run":
            return "not sealed whole: the secret gate refused it"
        if (one.said.target, one.said.verdict, one.said.runbook) != (
            run.result.target,
            run.result.verdict.value,
            run.result.runbook,
        ):
            return "its seal is of another result"
        changed = changed_files(self.looked, one)
        if changed:
            return f"changed since it was sealed: {'; '.join(changed[:3])}"
        later = self._later_hidden(run)
        return f"{later} was sealed after it, and its result is gone or another" if later else ""

    def _later_hidden(self, run: Run) -> str:
        """A later sealed run of its runbook that does not show here: it may have failed."""
        runbook, sealed = run.result.runbook, self.looked.newest if self.looked else {}
        shown = {
            each.folder.name
            for each in self.runs
            if each.result.runbook == runbook and each.result.verdict is not Verdict.PLANNED
        }
        for name, one in sealed.items():
            hidden = one.said.runbook == runbook and one.said.verdict != Verdict.PLANNED
            if hidden and name > run.folder.name and name not in shown:
                return name
        return ""

    def decide(self, wanted: Evidence, longest_days: float) -> Answer:
        """The newest run that proves or disproves it decides: no older pass outweighs it. One that
        left a part out does neither; where no other decides, it is named.
        """
        partly = None
        for run in self.runs:
            result = run.result
            if result.runbook != wanted.runbook or result.verdict is Verdict.PLANNED:
                continue
            why = self.why_not(run, longest_days) or self._lacks(run, wanted)
            answer = Answer(wanted, run, why, self.age(run) / DAY)
            if not (result.verdict in _ENDED and _left_out(result, wanted)):
                return answer
            if any(_judged(result, begin) for begin in wanted.findings):
                partly = partly or answer
        return partly or Answer(wanted, None, f"no run of {wanted.runbook} proves it")

    def newest(self, runbook: str) -> Run | None:
        """The newest run of a runbook that was no dry run."""
        mine = (r for r in self.runs if r.result.runbook == runbook)
        return next((r for r in mine if r.result.verdict is not Verdict.PLANNED), None)

    def _lacks(self, run: Run, wanted: Evidence) -> str:
        missing = [begin for begin in wanted.findings if not _judged(run.result, begin)]
        if missing:
            return f"it says nothing of {', '.join(missing)}"
        bad = [f for begin in wanted.findings for f in _about(run.result, begin) if not f.good]
        if bad:
            return "; ".join(f"{f.id} is {f.status}: {f.observed}" for f in bad[:3])
        gone = [name for name in wanted.files if not (run.folder / name).is_file()]
        return f"it has no {', '.join(gone)}" if gone else ""


def _about(result: Result, begin: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.id.startswith(begin)]


def _judged(result: Result, begin: str) -> bool:
    return any(f.status is not Status.NOT_APPLICABLE for f in _about(result, begin))


def _left_out(result: Result, wanted: Evidence) -> bool:
    """It left out some of what is wanted, and found nothing wrong with the rest."""
    whole = all(_judged(result, begin) for begin in wanted.findings)
    return not whole and all(f.good for begin in wanted.findings for f in _about(result, begin))


def read_runs(target_folder: Path, *, besides: str = "") -> list[Run]:
    """Ended runs with a readable result, the newest first."""
    found = []
    for path in target_folder.glob(f"*/{RESULT}"):
        result = read_result(path.parent)
        if result is not None and path.parent.name != besides:
            found.append(Run(path.parent, result))
    return sorted(found, key=lambda run: (run.result.ended_at, run.folder.name), reverse=True)


def read_shelf(settings: Settings, aws: Aws, target_folder: Path, own: str, now: float) -> Shelf:
    """Runs and archive of a target, read and verified once. `own`: this run, left out."""
    runs = read_runs(target_folder, besides=own)
    try:
        looked, findings = _verified(settings, aws, target_folder, own)
    except UsageError as error:
        looked = None
        findings = [not_known("readiness.archive", "There is an archive", error, "R4")]
    except ChronosError as error:
        looked = None
        findings = [not_known("readiness.archive", "The archive can be verified", error, "R4")]
    return Shelf(settings, runs, looked, findings, now)


def _verified(
    settings: Settings, aws: Aws, target_folder: Path, own: str
) -> tuple[Looked | None, list[Finding]]:
    declared = settings.archive
    if declared is None:
        return None, [
            judge(
                "readiness.archive",
                "There is an archive",
                passed=False,
                observed="none is declared: no run is sealed",
                expected="`archive:` in the parameter file",
                hint="parameters/production.example.yaml shows it",
                requirement="R4",
            )
        ]
    bucket = Bucket(aws, declared) if declared.bucket else None
    looked = verify_chain(target_folder, known_fingerprint(declared.key_fingerprint, bucket))
    findings = list(looked.findings)
    if bucket is not None:  # that the chain's end is there, only the bucket can tell
        findings += verify_bucket(looked, bucket, declared, run=own)
    return looked, findings
