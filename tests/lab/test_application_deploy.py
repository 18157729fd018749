"""An application's prerequisites on a real host: all there, then one of each missing (A1)."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronos_ops import runner
from chronos_ops.connectors.aws import Aws
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.result import Result, Verdict
from chronos_ops.model.secret import Secret
from chronos_ops.model.settings import load_settings, parameters_dir
from chronos_ops.publish.mapping import FILE as MAPPING
from tests.application.registry import DIGEST, Registry, serving
from tests.lab.conftest import Shell
from tests.publish import site
from tests.publish.site import TOKEN, USER, Site

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
RUNBOOK = "application_deploy"
FILE = "/etc/chronos-test-app/environment"
SQL = """
CREATE DATABASE app_deploy_test;
\\c app_deploy_test
CREATE TABLE users (id int);
CREATE SCHEMA "Sales"; CREATE TABLE "Sales"."Orders" (id int);
CREATE TABLE schema_migrations (version bigint); INSERT INTO schema_migrations VALUES (41), (42);
"""


@pytest.fixture(scope="module")
def deployed(lab: LabStatus, shell: Shell) -> Iterator[None]:
    """What an application finds: its database, and its environment's file."""
    psql = "sudo -u postgres psql -XAtq -v ON_ERROR_STOP=1"
    try:
        shell("db", f"{psql} <<'END'\n{SQL}\nEND")
        shell("db", f"sudo install -D -m 0640 /dev/stdin {FILE} <<'END'\nURL=hunter22\nKEY=\nEND")
        yield
    finally:
        shell("db", f"sudo rm -rf {Path(FILE).parent}", check=False)
        shell("db", f"{psql} -c 'DROP DATABASE IF EXISTS app_deploy_test'", check=False)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with serving(tmp_path) as registry:
        yield registry


@pytest.fixture
def declare(lab: LabStatus) -> Iterator[Any]:
    """declare(application): into the target's parameter file, taken out again."""
    path = parameters_dir() / f"{lab.name}.yaml"
    before = path.read_text()

    def write(application: dict[str, Any]) -> None:
        path.write_text(before + yaml.safe_dump({"application": application}))

    yield write
    path.write_text(before)


def run(lab: LabStatus) -> tuple[Result, Path]:
    result = runner.run(RUNBOOK, lab.name, {})  # it changes nothing: no approval
    return result, outputs_dir() / lab.name / result.run_id


def wrong(result: Result) -> dict[str, str]:
    return {f.id.removeprefix("application."): f.observed for f in result.findings if not f.good}


def test_the_runbook_names_what_is_missing_and_passes_when_nothing_is(
    lab: LabStatus, deployed: None, registry: Registry, declare: Any, shell: Shell
) -> None:
    nothing, _ = run(lab)
    assert nothing.verdict is Verdict.DEVIATED
    assert len(nothing.findings) == len(wrong(nothing)) == 4

    reference = f"{registry.address}/team/app:1.4"
    migration = {"table": "schema_migrations", "version": "42"}
    schema = {"database": "app_deploy_test", "tables": ["users", "Sales.Orders"]}
    application: dict[str, Any] = {
        "image": {"reference": reference, "digest": DIGEST, "ca_file": registry.ca_file},
        "environment": {"names": ["URL"], "file": FILE},
        "database_schema": schema | {"migration": migration},
        "endpoints": [
            {"url": f"{registry.url}/health", "ca_file": registry.ca_file},
            {"url": f"tcp://{lab.host('db')['address']}:22"},
        ],
    }
    declare(application)
    whole, folder = run(lab)
    assert whole.verdict is Verdict.PASSED, wrong(whole)
    assert len(whole.findings) == 7
    assert not [p for p in folder.rglob("*") if p.is_file() and b"hunter22" in p.read_bytes()]
    assert {line.split()[0] for line in registry.requests} == {"HEAD", "GET"}

    application["environment"]["names"] = ["URL", "KEY", "TOKEN"]
    application["image"]["digest"] = "sha256:" + "0" * 64
    schema["tables"] = ["users", "sales.orders"]  # names are taken as they are written
    application["database_schema"] = schema | {"migration": migration | {"version": "43"}}
    application["endpoints"][0]["status"] = 204
    declare(application)
    shell("db", f"sudo chmod o+r {FILE}")
    partly, _ = run(lab)
    assert partly.verdict is Verdict.DEVIATED
    assert {name: said for name, said in wrong(partly).items() if "endpoint" not in name} == {
        "image": f"{registry.address} says of {reference}: {DIGEST}",
        "environment": f"not in {FILE}: TOKEN; without a value: KEY",
        "environment.file-mode": "mode 644",
        "database_schema.tables": "not there: sales.orders",
        "database_schema.migration": "schema_migrations does not hold it",
    }
    assert wrong(partly)[f"endpoint.{registry.address}.health"] == "HTTP 200"


def test_its_result_reaches_the_ticket_and_runbooks_their_pages(
    lab: LabStatus, tmp_path: Path
) -> None:
    name = "/chronos-test/atlassian"
    Aws(load_settings(lab.name).aws).put_secret(name, Secret(TOKEN), overwrite=True)
    told = json.loads((ROOT / MAPPING).read_text())
    with site.serving(Site(issues={"CHRONOS-215": []})) as atlassian:
        common = {"user": USER, "token_secret": name}
        told["confluence"] |= common | {"url": f"{atlassian.url}/wiki", "space": "OPS"}
        told["jira"] |= common | {"url": atlassian.url}
        told["jira"]["issues"] = {RUNBOOK: "CHRONOS-215"}
        mapping = tmp_path / "mapping.json"
        mapping.write_text(json.dumps(told))
        said = ""
        for what in ("confluence", "jira", "confluence", "jira"):
            argv = [str(ROOT / "chronos"), "publish", what, "--target", lab.name]
            done = subprocess.run(
                [*argv, "--mapping", str(mapping)], capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
            said += done.stdout + done.stderr
    assert len(atlassian.pages) == 4
    (comment,) = atlassian.issues["CHRONOS-215"]
    assert f"target       {lab.name}" in comment
    assert [line.split()[0] for line in atlassian.writes] == ["POST"] * 5
    assert TOKEN not in said
