"""Debian 12 with PostgreSQL 15 and pgBackRest 2.45: both runbooks, whole, and then nothing to do.

The scratch host of the backup runbook is made by Lightsail's blueprint debian_12.
"""

import json
import os
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops import runner
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.lab import acme, control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.settings import parameters_dir
from tests.lab.conftest import LAB, Shell

pytestmark = [
    pytest.mark.lab,
    pytest.mark.destructive,
    pytest.mark.skipif(
        "CHRONOS_LONG_TESTS" not in os.environ, reason="minutes long: CHRONOS_LONG_TESTS=1 runs it"
    ),
]
HOST, NAME = "twelve", "twelve.example"
TARGET = f"{LAB}-twelve"


@pytest.fixture(scope="module")
def target(
    lab: LabStatus, shell: Shell, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabStatus]:
    """A declared host of the older release; what it cannot have (pgvector) is not declared."""
    host = control.request(
        lab.name,
        "create",
        name=HOST,
        image="db-bookworm",
        memory_bytes=2 * 1024**3,
        disk_bytes=20 * 1024**3,
        user_data=control._MAKE_CLUSTER,
        bundle="small_3_0",
        blueprint="debian_12",
    )
    path = parameters_dir() / f"{TARGET}.yaml"
    path.write_text(yaml.safe_dump(_declared(lab.name, host, tmp_path_factory.mktemp("twelve"))))
    path.chmod(0o600)
    _name(acme.describe(lab.user_dir, lab.gateway), host["address"])
    deadline = time.monotonic() + 60
    while "online" not in shell(HOST, "pg_lsclusters", check=False).stdout:
        assert time.monotonic() < deadline, "no cluster came up"
        time.sleep(0.2)
    yield lab
    path.unlink()
    shutil.rmtree(outputs_dir() / TARGET, ignore_errors=True)
    control.request(lab.name, "delete", name=HOST)


def _declared(lab: str, host: dict[str, Any], folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((parameters_dir() / f"{lab}.yaml").read_text())
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("".join(f"{host['address']} {key}\n" for key in host["host_keys"]))
    data["target"] = TARGET
    data["host"] |= {"instance": HOST, "address": host["address"]}
    data["host"]["known_hosts_file"] = str(known_hosts)
    data["postgres"]["operator_password_secret"] = "/chronos/twelve/operator"
    data["postgres"]["extensions"] = ["pg_stat_statements", "pg_trgm"]
    data["backup"] |= {
        "bucket": "project-chronos-twelve",
        "stanza": "twelve",
        "host_iam_user": "chronos-twelve-host",
        "cipher_secret": "/chronos/twelve/cipher",
        "host_key_secret": "/chronos/twelve/key",
        "long_term": None,
    }
    data["drill"]["blueprint_id"] = "debian_12"
    data["hardening"]["certificate"]["names"] = [NAME]
    return data


def _name(answers: acme.LabAcme, address: str) -> None:
    body = json.dumps({"host": f"{NAME}.", "addresses": [address]}).encode()
    request = urllib.request.Request(f"{answers.names_url}/add-a", body)  # noqa: S310 - the lab's
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310


def applied(result: Result) -> int:
    return sum(v["applied"] for k, v in result.measures.items() if k.startswith("changes."))


def test_backups_are_set_up_and_come_back_on_a_host_of_the_same_release(target: LabStatus) -> None:
    done = runner.run(
        "pgbackrest_backup_restore", TARGET, {"allow_restart": "true"}, approve=TARGET
    )
    assert done.verdict is Verdict.PASSED, done.reasons
    assert applied(done) > 5
    assert all(finding.good for finding in done.findings)
    again = runner.run("pgbackrest_backup_restore", TARGET, {"pitr_test": "false"}, approve=TARGET)
    assert applied(again) == 0


def test_the_host_is_hardened_and_stays_so(target: LabStatus, shell: Shell) -> None:
    done = runner.run("security_hardening", TARGET, {"allow_restart": "true"}, approve=TARGET)
    assert done.verdict is Verdict.PASSED, done.reasons
    assert applied(done) > 30
    assert shell(HOST, "cat /etc/debian_version").stdout.startswith("12.")
    assert "15/main" in shell(HOST, "ls -d /etc/postgresql/*/main").stdout
    without = {"judges": "false", "ban_proof": "false"}
    again = runner.run("security_hardening", TARGET, without, approve=TARGET)
    assert applied(again) == 0
    left_out = {"bans.proof", "judge.ssh-audit", "judge.sslyze", "judge.lynis"}
    assert again.verdict is Verdict.DEVIATED  # what was left out is not proven
    assert {finding.id for finding in again.findings if not finding.good} == left_out
