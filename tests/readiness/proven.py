"""Targets and sealed runs that prove things, for the tests of the readiness."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from chronos_ops.evidence.archive import Archive
from chronos_ops.evidence.folder import write_json, write_text
from chronos_ops.evidence.manifest import write_manifest
from chronos_ops.evidence.record import write_result
from chronos_ops.evidence.redact import Redactor
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import Settings, parameters_dir, parse_settings
from chronos_ops.model.timing import stamp
from chronos_ops.readiness.item import Evidence
from chronos_ops.readiness.items import ITEMS
from tests.evidence.archived_runs import make_archive

NOW = 1_796_000_000.0
DAY = 86400.0


class Target:
    """`outputs/<target>` with an archive of its own key, and nothing in it yet."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        self.folder = folder / "outputs/production"
        self.archive: Archive = make_archive(self.folder, folder / "state")
        self.settings = settings(self.archive.key.fingerprint, **changed)

    def ran(
        self,
        wanted: Evidence,
        *,
        days: float = 1.0,
        verdict: Verdict = Verdict.PASSED,
        findings: dict[str, Status] | None = None,
        told: Sequence[Finding] = (),
        of: Settings | None = None,
        seal: bool = True,
        **said: Any,
    ) -> Path:
        """A run that ended so many days ago and found what is wanted, unless told otherwise."""
        own = of or self.settings
        ended = stamp(datetime.fromtimestamp(NOW - days * DAY, UTC))
        name = f"{ended[:19].replace('-', '').replace(':', '')}Z-{wanted.runbook}-{days:g}"
        run = self.folder / name
        (run / "steps").mkdir(parents=True)
        write_text(run / "executed.html", "<p>it ran</p>\n")
        for file in wanted.files:
            write_text(run / file, "# written\n")
        write_json(run / "parameters.json", {"settings": own.model_dump(mode="json")})
        found = findings if findings is not None else dict.fromkeys(wanted.findings, Status.PASS)
        result = {
            "schema": "chronos-ops/result/1",
            "run_id": run.name,
            "runbook": wanted.runbook,
            "target": own.target,
            "verdict": verdict,
            "started_at": ended,
            "ended_at": ended,
            "evaluated_by": "operator@desk",
            "hardware": "8 CPU x86_64, 32 GiB, Linux 6.12",
            "findings": [*told, *(finding(name, status) for name, status in found.items())],
        } | said
        write_result(run, Result.model_validate(result), Redactor())
        write_manifest(run)
        if seal:
            self.archive.seal(run)
        return run

    def forget(self) -> None:
        shutil.rmtree(self.folder)


def finding(identifier: str, status: Status, requirement: str = "") -> Finding:
    return Finding(
        id=identifier,
        status=status,
        title=f"about {identifier}",
        observed="seen",
        expected="wanted",
        requirement=requirement,
    )


def settings(fingerprint: str, **changed: Any) -> Settings:
    """Production as the example has it, with an archive on this machine alone."""
    data = yaml.safe_load((parameters_dir() / "production.example.yaml").read_text())
    data["archive"] = {"key_fingerprint": fingerprint}
    for name, value in changed.items():
        data[name] = data[name] | value if isinstance(value, dict) else value
    return parse_settings(data)


def wanted(item: str, number: int = 0) -> Evidence:
    return next(each for each in ITEMS if each.id == item).evidence[number]
