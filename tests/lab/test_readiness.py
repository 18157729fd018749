"""Without evidence nothing is ready: each item is named, and nothing is changed (R8)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chronos_ops import runner
from chronos_ops.evidence.folder import outputs_dir
from chronos_ops.lab import control
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.result import Verdict
from chronos_ops.model.settings import parameters_dir
from chronos_ops.readiness.items import ITEMS
from chronos_ops.readiness.page import LAB

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
LOOKS = ("describe_", "get_", "head_", "list_")  # how an AWS call begins that only looks


@pytest.fixture
def unproven(lab: LabStatus) -> Iterator[str]:
    """The lab's host as a target of its own: no run was ever made on it, no archive is declared."""
    data: dict[str, Any] = yaml.safe_load((parameters_dir() / f"{lab.name}.yaml").read_text())
    name = f"{lab.name}-unproven"
    path = parameters_dir() / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data | {"target": name, "archive": None}))
    yield name
    path.unlink()


def test_without_evidence_no_item_is_met_and_the_look_changes_nothing(
    lab: LabStatus, unproven: str
) -> None:
    hosts = {host["name"] for host in control.hosts(lab.name)}
    result = runner.run("production_readiness", unproven, {})  # it changes nothing: no approval
    folder = outputs_dir() / unproven / result.run_id

    assert result.verdict is Verdict.DEVIATED, result.reasons
    rows = {row["item"]: row for row in result.measures["readiness"]}
    assert list(rows) == [item.id for item in ITEMS]
    assert not [name for name, row in rows.items() if row["ready"] or row["proven"]]
    assert rows["database"]["live"] == "pass", rows["database"]["missing"]
    judged = {f.id: f for f in result.findings}
    for name, row in rows.items():
        assert not judged[f"readiness.{name}"].good
        assert any(f"readiness.{name} is" in reason for reason in result.reasons)
        assert row["missing"]
    page = (folder / "readiness.md").read_text()
    assert LAB in page
    assert all(f"- **{row['title']}**: " in page for row in rows.values())
    assert (folder / "charts/ten-items.svg").is_file()

    events = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert {e["kind"] for e in events if e["event"] == "begin"} <= {"run", "step", "remote", "wait"}
    assert {e["event"] for e in events} <= {"begin", "end", "note"}
    called = [e["name"].split() for e in events if e["event"] == "begin" and e["kind"] == "remote"]
    asked = {words[2] for words in called if words[0] == "aws"}
    assert asked
    assert [name for name in asked if not name.startswith(LOOKS)] == []
    assert {host["name"] for host in control.hosts(lab.name)} == hosts
