"""The preflight on a real target: all there, then one fault of each kind, each by its own name."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops import runner
from chronos_ops.connectors.aws import Aws
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.evidence.journal import read_journal
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import load_settings, parameters_dir
from tests.lab.conftest import Shell

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
READS = ("get_", "describe_", "list_", "head_")
NAME, RUN_ID = "chronos-drill-forgotten", "20261101T000000Z-drill-abc123"
LATE = '#!/bin/sh\nexec /usr/bin/date -d "15 minutes" "$@"\n'
SSO = """[profile person]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = operator
[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://example.invalid/start
"""
Declare = Callable[[dict[str, dict[str, Any]]], None]


@pytest.fixture
def declare(lab: LabStatus) -> Iterator[Declare]:
    """declare(changes): by section, into the target's parameter file; taken out again."""
    path = parameters_dir() / f"{lab.name}.yaml"
    before = path.read_text()

    def write(changes: dict[str, dict[str, Any]]) -> None:
        data = yaml.safe_load(before)
        for section, values in changes.items():
            data[section] = data.get(section, {}) | values
        path.write_text(yaml.safe_dump(data))

    yield write
    path.write_text(before)


@pytest.fixture
def forgotten(lab: LabStatus) -> Iterator[None]:
    """A drill host of a run that nobody remembers."""
    aws = Aws(load_settings(lab.name).aws)
    aws.call(
        "lightsail",
        "create_instances",
        instanceNames=[NAME],
        availabilityZone="ca-central-1a",
        blueprintId="debian_13",
        bundleId="small_3_0",
        tags=[{"key": "chronos:run", "value": RUN_ID}],
    )
    yield
    aws.call("lightsail", "delete_instance", instanceName=NAME)
    aws.close()


@pytest.fixture
def late(lab: LabStatus, shell: Shell) -> Iterator[None]:
    """A clock that is a quarter of an hour off; a lab's hosts have their machine's own."""
    program = "/usr/local/bin/date"
    shell("db", f"sudo install -m 0755 /dev/stdin {program} <<'END'\n{LATE}END")
    yield
    shell("db", f"sudo rm -f {program}")


def run(lab: LabStatus) -> tuple[Result, dict[str, Finding], Path]:
    """The run, and what is not good in it, by its id."""
    result = runner.run("preflight", lab.name, {})  # it changes nothing: no approval
    wrong = {f.id.removeprefix("preflight."): f for f in result.findings if not f.good}
    return result, wrong, outputs_dir() / lab.name / result.run_id


def test_a_target_with_everything_passes_and_nothing_is_changed(
    lab: LabStatus, shell: Shell
) -> None:
    before = shell("db", "date -u '+%F %T.%N'").stdout.strip()
    result, wrong, folder = run(lab)
    assert wrong == {}
    assert result.verdict is Verdict.PASSED
    assert len(result.findings) >= 45
    entries = list(read_journal(folder))
    assert {entry.kind for entry in entries} == {"run", "step", "remote"}
    calls = [e.name.split()[2] for e in entries if e.name.startswith("aws ")]
    assert len(calls) >= 10
    assert [call for call in calls if not call.startswith(READS)] == []
    changed = f"sudo find /etc /usr /var/lib/apt /opt /srv -xdev -newermt '{before}' -type f"
    assert shell("db", changed).stdout == ""


def test_each_fault_is_named_by_its_own_finding(
    lab: LabStatus, declare: Declare, forgotten: None, late: None
) -> None:
    declare(
        {
            "drill": {"reap_after_hours": 0.0001},
            "dns": {"records": [{"name": "www.automatonicai.com", "value": "203.0.113.9"}]},
            "postgres": {"extensions": ["pg_trgm", "no_such_extension"]},
            "host": {"address": load_settings(lab.name).host.address, "key_file": "/no/key"},
        }
    )
    result, wrong, _ = run(lab)
    assert result.verdict is Verdict.DEVIATED
    assert set(wrong) >= {"machine.key", "leftovers", "dns.A.www.automatonicai.com", "ssh"}
    assert NAME in wrong["leftovers"].observed
    assert "12.00 USD a month" in wrong["leftovers"].observed
    declare({"postgres": {"extensions": ["pg_trgm", "no_such_extension"]}})
    result, wrong, _ = run(lab)
    assert result.verdict is Verdict.DEVIATED
    assert set(wrong) == {"extensions", "host-clock"}
    assert wrong["extensions"].observed == "the server offers no no_such_extension"
    assert "set-ntp" in wrong["host-clock"].hint


def test_an_expired_login_does_not_hide_what_can_be_known(
    lab: LabStatus, declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / ".aws/sso/cache"
    cache.mkdir(parents=True)
    token = {
        "startUrl": "https://example.invalid/start",
        "region": "eu-west-1",
        "accessToken": "hunter22-token",
        "expiresAt": "2026-01-01T00:00:00Z",
    }
    (cache / f"{hashlib.sha1(b'corp').hexdigest()}.json").write_text(json.dumps(token))  # noqa: S324 - its name
    (tmp_path / "config").write_text(SSO)
    monkeypatch.setenv("HOME", str(tmp_path))
    declare({"aws": {"profile": "person", "config_file": str(tmp_path / "config")}})
    result, wrong, folder = run(lab)
    assert result.verdict.exit_status in (1, 3)
    assert wrong["identity"].status is Status.UNKNOWN
    assert "Token has expired" in wrong["identity"].observed
    assert wrong["identity"].hint == "aws sso login --profile person"
    good = {f.id.removeprefix("preflight.") for f in result.findings if f.good}
    assert good >= {"ssh", "sudo", "postgres", "extensions", "machine.clock"}
    assert {"bucket", "secrets", "instance", "leftovers"} <= set(wrong)
    texts = [p.read_bytes() for p in folder.rglob("*") if p.is_file()]
    assert not any(b"hunter22" in text for text in texts)
