"""A scheduled run by the real runner: once for its slot, reaped when killed, never by SSO (P1)."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
import typer

from chronos_ops.cli import schedule as command
from chronos_ops.connectors.aws import Aws
from chronos_ops.evidence.record import read_result
from chronos_ops.model.errors import Refused, UsageError
from chronos_ops.model.result import Verdict
from chronos_ops.model.schedule import Schedule
from chronos_ops.model.settings import Settings
from chronos_ops.runner_reap import reap
from chronos_ops.runner_slot import claim_and_execute, refuse_login
from chronos_ops.schedule.claims import Claims, NeedsHuman, Taken
from chronos_ops.schedule.units import FAILED, unit_texts
from tests.execution.test_provision import FakeAws
from tests.runner.probing import RUNBOOK, settings, spec

SLOT = datetime(2026, 11, 22, 4, tzinfo=UTC)
STEP = ("look", "step", "run.step('look', good)")
SLOW = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from chronos_ops.runner_slot import claim_and_execute
from tests.runner.probing import spec
print("ready", flush=True)
sleeps = ("look", "step", "import time; print('asleep', flush=True); time.sleep(600)")
claim_and_execute(
    spec(Path(sys.argv[1]), [sleeps]), datetime(2026, 11, 22, 4, tzinfo=UTC)
)
"""


def with_profile(folder: Path, section: str) -> Settings:
    config = folder / "config"
    config.write_text(f"[profile nobody]\n{section}\n")
    chosen = settings()
    given = {"config_file": str(config), "credentials_file": str(folder / "none")}
    return chosen.model_copy(update={"aws": chosen.aws.model_copy(update=given)})


def test_the_slots_run_is_its_claims_verdict_and_the_only_one(tmp_path: Path) -> None:
    chosen = spec(tmp_path, [STEP])
    result = claim_and_execute(chosen, SLOT)
    claims = Claims(tmp_path / "outputs" / "probe")
    [claim] = claims.all()
    assert (claim.run_id, claim.runbook, claim.slot) == (
        result.run_id,
        RUNBOOK,
        "20261122T040000Z",
    )
    assert claims.state(claim) == result.verdict
    with pytest.raises(Taken, match=result.run_id):
        claim_and_execute(chosen, SLOT)
    assert len(list((tmp_path / "outputs" / "probe").glob("*/parameters.json"))) == 1


def test_a_killed_scheduled_run_blocks_the_next_until_reaped(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    claims = Claims(tmp_path / "outputs" / "probe")
    while not any(claim.run_id for claim in claims.all()):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    with pytest.raises(NeedsHuman, match="chronos reap --target probe"):
        claim_and_execute(spec(tmp_path, [STEP]), datetime(2026, 11, 29, 4, tzinfo=UTC))
    [claim] = claims.all()
    said: list[str] = []
    assert reap(settings(), tmp_path / "outputs", said.append, cast(Aws, FakeAws())) == []
    result = read_result(tmp_path / "outputs" / "probe" / claim.run_id)
    assert result is not None
    assert result.verdict is Verdict.ABORTED
    assert claims.state(claim) == "aborted"


def test_a_login_that_needs_a_person_is_refused_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="chronos-drill") as refused:
        refuse_login(with_profile(tmp_path, "sso_session = ours"))
    assert "SSO" in refused.value.text()
    with pytest.raises(Refused, match="no credentials"):
        refuse_login(with_profile(tmp_path, "region = ca-central-1"))
    with pytest.raises(Refused, match="temporary keys"):
        refuse_login(with_profile(tmp_path, "aws_access_key_id = x\naws_session_token = y"))
    refuse_login(with_profile(tmp_path, "aws_access_key_id = x"))


def test_adding_refuses_before_a_unit_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    weekly = "Sun *-*-* 04:00:00 UTC"
    with pytest.raises(UsageError, match="unknown runbook"):
        command.add("disaster_recover", "probe", weekly, system=False)
    with pytest.raises(UsageError, match="not understood"):
        command.add("disaster_recovery", "probe", "now and then", system=False)
    with pytest.raises(UsageError, match="not scheduled"):
        command.remove("disaster_recovery", "probe", system=False)
    assert list(tmp_path.iterdir()) == []


def test_the_plan_is_a_diff_of_units_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = with_profile(tmp_path, "aws_access_key_id = x")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("chronos_ops.runner.load_settings", lambda target: chosen)
    weekly = "Sun *-*-* 04:00:00 UTC"
    with pytest.raises(Refused, match="not approved"):
        command.add("disaster_recovery", "probe", weekly, system=False, plan=True)
    command.add("disaster_recovery", "probe", weekly, approve="probe", system=False, plan=True)
    said = capsys.readouterr().out
    assert f"+OnCalendar={weekly}\n" in said
    assert '"--approve" "probe"' in said
    assert "3 units would change" in said
    assert not (tmp_path / "home").exists()
    sso = with_profile(tmp_path, "sso_start_url = https://x")
    monkeypatch.setattr("chronos_ops.runner.load_settings", lambda target: sso)
    with pytest.raises(Refused, match="SSO"):
        command.add("disaster_recovery", "probe", weekly, approve="probe", system=False, plan=True)


def test_the_list_names_a_missed_slot_and_the_last_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("chronos_ops.cli.schedule.shelf.ROOT", tmp_path)
    noon = f"{datetime.now(UTC) + timedelta(hours=12):%H}"  # of two days: far from either end
    schedule = Schedule(RUNBOOK, "probe", f"*-*-* {noon}:00:00 UTC")
    folder = tmp_path / "home" / "systemd" / "user"
    folder.mkdir(parents=True)
    texts = unit_texts(schedule, tmp_path, tmp_path / "outputs", system=False)
    for name, text in texts.items():
        (folder / name).write_text(text)
    command.list_(system=False)  # nothing was due since
    assert "0 since" in capsys.readouterr().out
    os.utime(folder / f"{schedule.name}.timer", (time.time() - 50 * 3600,) * 2)
    outputs = tmp_path / "outputs" / "probe"
    outputs.mkdir(parents=True)
    (outputs / FAILED).write_text(f"2026-11-22T04:00:09Z {schedule.name} exit-code 2\n")
    with pytest.raises(typer.Exit) as end:
        command.list_(system=False)
    assert end.value.exit_code == 1
    said = capsys.readouterr().out
    assert " 2 missed" in said
    assert "exit-code 2" in said


def test_the_list_names_what_blocks_the_target_though_it_is_no_slot_of_the_calendar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setattr("chronos_ops.cli.schedule.shelf.ROOT", tmp_path)
    schedule = Schedule(RUNBOOK, "probe", "*-02-29 00:00:00 UTC")
    folder = tmp_path / "home" / "systemd" / "user"
    folder.mkdir(parents=True)
    for name, text in unit_texts(schedule, tmp_path, tmp_path / "outputs", system=False).items():
        (folder / name).write_text(text)
    with Claims(tmp_path / "outputs" / "probe").claimed("another", SLOT):
        pass
    [path] = (tmp_path / "outputs" / "probe" / ".claims").glob("*.json")
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "process": {**data["process"], "boot": "before"}}))
    with pytest.raises(typer.Exit):
        command.list_(system=False)
    said = capsys.readouterr().out
    assert "another: unknown, needs a human: ./chronos reap --target probe" in said


def test_a_claim_is_readable_by_a_person(tmp_path: Path) -> None:
    claims = Claims(tmp_path)
    with claims.claimed(RUNBOOK, SLOT) as held:
        held.begun("run-1")
    data = json.loads((tmp_path / ".claims" / f"20261122T040000Z-{RUNBOOK}.json").read_text())
    assert data["run_id"] == "run-1"
    assert data["process"]["pid"] == os.getpid()
