"""Who may destroy what, and what a failing Lightsail leads to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.execution import provision
from chronos_ops.model.errors import ChronosError, Refused
from chronos_ops.model.instance import key_pair_name, request_instance
from chronos_ops.model.question import AwsQuestion
from chronos_ops.model.settings import Settings, parse_settings


class FakeAws:
    """Lightsail as far as these tests go: instances by name, deleted when asked."""

    def __init__(self) -> None:
        self.instances: dict[str, dict[str, Any]] = {}
        self.key_pairs: set[str] = set()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.failure = ""
        self.busy = 0
        self.journal = None

    def add(self, name: str, run_id: str = "", age_hours: float = 0) -> None:
        self.instances[name] = {
            "name": name,
            "createdAt": datetime.now(UTC) - timedelta(hours=age_hours),
            "location": {"availabilityZone": "ca-central-1a"},
            "tags": [{"key": "chronos:run", "value": run_id}] if run_id else [],
            "publicIpAddress": "127.0.0.9",
            "state": {"name": "running"},
            "username": "admin",
        }

    def ask(self, question: AwsQuestion) -> Any:
        try:
            return self.call(question.service, question.operation, **question.arguments)
        except AwsRefused as error:
            if error.code in question.absent:
                return None
            raise

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        self.calls.append((operation, arguments))
        return cast(dict[str, Any], getattr(self, f"_{operation}")(**arguments))

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.calls]

    def _get_instances(self) -> dict[str, Any]:
        return {"instances": list(self.instances.values())}

    def _get_instance(self, instanceName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if instanceName not in self.instances:
            raise AwsRefused("get_instance", "NotFoundException", instanceName)
        return {"instance": self.instances[instanceName]}

    def _delete_instance(self, instanceName: str) -> dict[str, Any]:  # noqa: N803
        if self.busy:
            self.busy -= 1
            raise AwsRefused("delete_instance", "OperationFailureException", "pending")
        del self.instances[instanceName]
        return {}

    def _import_key_pair(self, keyPairName: str, **rest: Any) -> dict[str, Any]:  # noqa: N803
        self.key_pairs.add(keyPairName)
        return {}

    def _delete_key_pair(self, keyPairName: str) -> dict[str, Any]:  # noqa: N803
        if keyPairName not in self.key_pairs:
            raise AwsRefused("delete_key_pair", "NotFoundException", keyPairName)
        self.key_pairs.remove(keyPairName)
        return {}

    def _create_instances(self, **arguments: Any) -> dict[str, Any]:
        return {"operations": [{"id": "1"}]}

    def _get_operation(self, operationId: str) -> dict[str, Any]:  # noqa: N803
        operation = {"operationType": "CreateInstance", "resourceName": "drill-1"}
        status = "Failed" if self.failure else "Succeeded"
        return {"operation": {**operation, "status": status, "errorDetails": self.failure}}


@pytest.fixture
def fake() -> FakeAws:
    return FakeAws()


@pytest.fixture
def aws(fake: FakeAws) -> Aws:
    return cast(Aws, fake)


@pytest.fixture
def settings() -> Settings:
    return parse_settings(
        {
            "target": "t",
            "aws": {"account_id": "123456789012", "profile": "op"},
            "host": {"instance": "db", "address": "127.0.0.1", "key_file": "k"},
            "postgres": {"operator_networks": ["127.0.0.0/8"]},
            "backup": {"bucket": "b"},
        }
    )


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return provision.make_key(tmp_path)


@pytest.mark.parametrize(("tag", "run_id"), [("", "r1"), ("other", "r1"), ("", ""), ("other", "")])
def test_only_the_run_that_made_an_instance_destroys_it(
    fake: FakeAws, aws: Aws, tag: str, run_id: str
) -> None:
    fake.add("db", tag)
    with pytest.raises(Refused, match="was not made by run"):
        provision.destroy(aws, "db", run_id)
    assert "db" in fake.instances
    assert "delete_instance" not in fake.operations()


def test_destroying_removes_instance_and_key_pair(fake: FakeAws, aws: Aws) -> None:
    fake.add("drill-1", "r1")
    fake.key_pairs = {key_pair_name("drill-1", "r1"), "somebody's"}
    fake.busy = 1
    provision.destroy(aws, "drill-1", "r1")
    assert fake.instances == {}
    assert fake.key_pairs == {"somebody's"}


def test_destroying_what_is_gone_is_no_error_and_takes_the_key_pair_along(
    fake: FakeAws, aws: Aws
) -> None:
    provision.destroy(aws, "drill-1", "r1")
    fake.key_pairs = {key_pair_name("drill-1", "r1")}
    provision.destroy(aws, "drill-1", "r1")
    assert fake.key_pairs == set()


def test_the_reaper_sees_runs_instances_alone_oldest_first(fake: FakeAws, aws: Aws) -> None:
    fake.add("db")
    fake.add("young", "r2", age_hours=1)
    fake.add("old", "r1", age_hours=30)
    found = provision.list_drill_instances(aws)
    assert [(i.name, i.run_id, round(i.age_hours)) for i in found] == [
        ("old", "r1", 30),
        ("young", "r2", 1),
    ]


def test_a_taken_name_is_refused_before_anything_is_made(
    fake: FakeAws, aws: Aws, settings: Settings, key_file: Path
) -> None:
    fake.add("drill-1", "r0")
    with pytest.raises(Refused, match="exists already: drill-1"):
        provision.provision(aws, settings, "drill-1", "r1", key_file)
    assert fake.operations() == ["get_instance"]


def test_lightsail_s_reason_for_a_failure_is_passed_on(
    fake: FakeAws, aws: Aws, settings: Settings, key_file: Path
) -> None:
    fake.failure = "no capacity"
    with pytest.raises(ChronosError, match="CreateInstance of drill-1 failed: no capacity"):
        provision.provision(aws, settings, "drill-1", "r1", key_file)


def test_the_key_is_of_the_type_that_lightsail_imports(settings: Settings, key_file: Path) -> None:
    assert key_file.stat().st_mode & 0o777 == 0o600
    public = key_file.with_suffix(".pub").read_text()
    assert request_instance(settings, "drill-1", "r1", public).public_key == public
