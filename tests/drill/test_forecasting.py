"""The forecast of a run: from sealed runs of this target, hardware and kind of host; no others."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from chronos_ops.drill import forecasting
from chronos_ops.drill.forecasting import tell
from chronos_ops.drill.sizing import Sizes
from chronos_ops.drill.state import Drill
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.manifest import write_manifest
from chronos_ops.evidence.record import hardware
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.steps import StepRecord, write_step
from chronos_ops.execution.context import Context
from chronos_ops.model.errors import TransportError
from chronos_ops.model.finding import Status
from chronos_ops.model.forecast import Restored
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.timing import Phase
from tests.drill.test_restore import settings
from tests.evidence.test_report import drilled
from tests.model.test_forecast import MB, measured

AT = "2026-11-22T21:00:00.000000Z"
SOURCE = {"provision_source": "from the bare image", "provision_bundle": "small"}
KIND = "from the bare image; bundle small"


class Declared:
    """The declared host: 5 GB of databases, or nobody."""

    def __init__(self, size: int | None) -> None:
        self.size = size

    def sql_rows(self, sql: str) -> list[dict[str, int]]:
        if self.size is None:
            raise TransportError("no answer")
        return [{"size": self.size}]


def context(folder: Path, size: int | None = 5000 * MB) -> Context:
    """A run that has restored 64 MB itself."""
    run = folder / "20261122T220000Z-drill-aaaaaa"
    (run / "steps").mkdir(parents=True)
    one = measured(64, 16)
    outcome = Outcome(
        summary="",
        phases=[Phase(name=n, started_at=AT, seconds=s) for n, s in one.seconds.items()],
        measures={"restored_bytes": one.size, "replayed_wal_bytes": one.wal, **SOURCE},
    )
    record = StepRecord(schema="chronos-ops/step/1", cell="all", kind="step", status="ok",
                        started_at=AT, seconds=1, outcome=outcome)  # fmt: skip
    write_step(run, record, Redactor())
    given = parse_parameters("disaster_recovery", {})
    ssh = cast(Any, Declared(size))
    return Context(run.name, run, settings(), given, FileJournal(run), cast(Any, None), ssh)


def earlier(folder: Path, number: int, one: Restored, **changes: Any) -> Path:
    """A sealed run of one size."""
    run = folder / f"20261122T21000{number}Z-drill-bbbbb{number}"
    run.mkdir()
    given = {"hardware": hardware(), **changes}
    row = {**one.data(), "source": KIND}
    result = drilled(**{"measures": {"forecast_restores": [row]}, **given})
    (run / "result.json").write_text(result.model_dump_json(by_alias=True))
    write_manifest(run)
    return run


def nothing_made(_context: Context) -> Drill:
    pytest.fail("no size was asked for")


SIZES = (256, 1024, 3072)


def test_sealed_runs_of_this_kind_make_the_forecast(tmp_path: Path) -> None:
    for number, size in enumerate(SIZES):
        earlier(tmp_path, number, measured(size, size / 4))
    outcome = tell(context(tmp_path), nothing_made)
    known = outcome.measures["forecast"]
    assert [row["bytes"] for row in known["restores"]] == [64 * MB, 3072 * MB, 1024 * MB, 256 * MB]
    assert known["size_now"] == 5000 * MB
    assert known["breaks_at_size"] == pytest.approx(118_889 * MB, rel=0.02)
    assert known["lines"]["restore"]["rate"] == pytest.approx(100 * MB, rel=0.01)
    rows = {row["what"]: row for row in outcome.table}
    assert rows["1 GB"]["how far"] == "within what was restored"
    assert rows["1 TB"]["objective"] == "missed"
    assert "extrapolated" in rows["1 TB"]["how far"]
    assert "predicted from the other sizes alone" in outcome.text
    json.dumps(outcome.model_dump(mode="json"), allow_nan=False)


def test_a_run_that_was_asked_for_no_forecast_does_not_fail_by_one(tmp_path: Path) -> None:
    for number, size in enumerate(SIZES):
        earlier(tmp_path, number, measured(size, size / 4, noise=1.0 + 2 * number))
    (finding,) = tell(context(tmp_path), nothing_made).findings
    assert finding.status is Status.NOT_APPLICABLE
    assert "no size was restored for it in this run; worst " in finding.observed


@pytest.mark.parametrize(("noise", "status"), [(1.0, Status.PASS), (4.0, Status.FAIL)])
def test_a_run_that_was_asked_for_one_is_judged_by_what_it_restored_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: float, status: Status
) -> None:
    earlier(tmp_path, 1, measured(512, 128, noise=9.0))  # on a busy day: not compared with
    own = [measured(size, size / 4) for size in SIZES[:-1]]
    own.append(measured(SIZES[-1], SIZES[-1] / 4, noise=noise))
    made = Sizes([{**one.data(), "source": KIND} for one in own], None)
    monkeypatch.setattr(forecasting, "restore_sizes", lambda *_: made)
    run = context(tmp_path)
    asked = parse_parameters("disaster_recovery", {"forecast_megabytes": "256,1024,3072"})
    outcome = tell(replace(run, parameters=asked), nothing_made)
    assert outcome.findings[0].status is status
    assert len(outcome.measures["forecast"]["restores"]) == 4


@pytest.mark.parametrize(
    "changes",
    [{"hardware": "another machine"}, {"verdict": "failed"}, {"verdict": "planned"}],
)
def test_runs_that_do_not_count(tmp_path: Path, changes: dict[str, str]) -> None:
    for number, size in enumerate(SIZES):
        earlier(tmp_path, number, measured(size, size / 4), **changes)
    outcome = tell(context(tmp_path), nothing_made)
    assert outcome.findings[0].status is Status.NOT_APPLICABLE
    assert len(outcome.measures["forecast"]["restores"]) == 1
    assert "not known" in outcome.summary


def test_a_run_that_was_changed_or_never_sealed_does_not_count(tmp_path: Path) -> None:
    changed = earlier(tmp_path, 1, measured(256, 64))
    path = changed / "result.json"
    path.write_text(path.read_text().replace("12.0", "1.0"))
    (earlier(tmp_path, 2, measured(1024, 256)) / "manifest.json").unlink()
    outcome = tell(context(tmp_path), nothing_made)
    assert len(outcome.measures["forecast"]["restores"]) == 1


def test_hosts_of_another_kind_do_not_count(tmp_path: Path) -> None:
    row = {**measured(256, 64).data(), "source": "from snapshot packages-1"}
    earlier(tmp_path, 1, measured(256, 64), measures={"forecast_restores": [row]})
    assert len(tell(context(tmp_path), nothing_made).measures["forecast"]["restores"]) == 1


def test_a_size_that_cannot_be_asked_is_not_known(tmp_path: Path) -> None:
    for number, size in enumerate(SIZES):
        earlier(tmp_path, number, measured(size, size / 4))
    outcome = tell(context(tmp_path, size=None), nothing_made)
    row = next(row for row in outcome.table if row["what"] == "the target's size now")
    assert row["recovery time"] == "not known"
    assert outcome.measures["forecast"]["size_now"] is None
