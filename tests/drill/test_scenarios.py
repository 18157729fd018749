"""The catalogue: found by file, complete, and honest about what it cannot do."""

from pathlib import Path

import pytest

from chronos_ops.drill import scenarios
from chronos_ops.drill.dropping import Dropping
from chronos_ops.drill.faults import Dropped, Struck
from chronos_ops.drill.primary import own_settings
from chronos_ops.drill.reader import as_reader
from chronos_ops.drill.scenario import Scenario, find, refuse_subject, registry
from chronos_ops.drill.scenarios.production_proof import judge_tables
from chronos_ops.drill.session import DrillSession
from chronos_ops.drill.state import Drill
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Status
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.timing import utc_now
from chronos_ops.plans.identity import policy_document
from tests.drill.test_restore import settings

RUN = "20261122T214503Z-drill-1f00ba"


def test_a_scenario_is_one_file() -> None:
    files = {path.stem for path in Path(scenarios.__path__[0]).glob("[!_]*.py")}
    assert set(registry()) == files
    assert {"instance_lost", "table_dropped", "database_dropped", "production_proof"} <= files


@pytest.mark.parametrize("scenario", registry().values(), ids=lambda s: str(s.id))
def test_every_scenario_says_what_it_is(scenario: Scenario) -> None:
    assert scenario.title
    assert scenario.mode in ("synthetic", "production_proof")
    for step in ("inject_fault", "provision_drill_host", "restore", "recover", "verify"):
        assert getattr(type(scenario), step) is not getattr(Scenario, step)


def test_the_declared_host_is_struck_only_where_it_is_disposable() -> None:
    class Earthquake(Dropping):
        id = "earthquake"
        subject = "declared"

    production = settings()
    with pytest.raises(UsageError, match="not disposable"):
        refuse_subject(Earthquake(), production)
    refuse_subject(Earthquake(), production.model_copy(update={"disposable": True}))
    for scenario in registry().values():
        refuse_subject(scenario, production)


def test_an_unknown_scenario_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        find("meteorite")
    assert "instance_lost" in caught.value.hint


def test_a_step_that_comes_too_early_names_the_one_that_is_missing() -> None:
    with pytest.raises(UsageError, match="`provision-primary` was not run"):
        _ = Drill().primary


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        (RecoveryTarget(), ["--type=xid", "--target=949", "--target-exclusive"]),
        (RecoveryTarget("lsn", own=True), ["--type=lsn", "--target=0/7041FA8"]),
        (RecoveryTarget("name", own=True), ["--type=name", "--target=before_the_drop"]),
        (
            RecoveryTarget("time", own=True),
            ["--type=time", "--target=2026-11-22 22:42:35.900000+00"],
        ),
    ],
)
def test_the_moment_before_the_drop_in_each_kind(asked: RecoveryTarget, options: list[str]) -> None:
    scenario = find("table_dropped")
    assert isinstance(scenario, Dropping)
    dropped = Dropped(
        Struck("DROP TABLE", 1.0, utc_now(), 1.1),
        0.9,
        "949",
        "0/7041FA8",
        "before_the_drop",
        "2026-11-22T22:42:35.900000Z",
    )
    target = scenario.target_of(Drill(asked=asked), dropped)
    assert set(options) <= set(target.options())
    assert "--target-action=promote" in target.options()


def test_everything_of_a_primary_carries_the_run() -> None:
    own = own_settings(settings("vector"), RUN, "t-primary-1f00ba")
    names = (
        own.backup.prefix,
        own.backup.host_iam_user,
        own.backup.cipher_secret,
        own.backup.host_key_secret,
        own.postgres.operator_password_secret,
    )
    assert all(RUN in name for name in names)
    assert own.backup.long_term is None
    assert len(own.backup.host_iam_user) <= 64  # IAM's limit


def test_a_drill_host_can_only_read_one_prefix() -> None:
    reading = as_reader(own_settings(settings(), RUN, "i"), RUN).backup
    assert RUN in reading.host_iam_user
    assert len(reading.host_iam_user) <= 64
    document = policy_document(reading, read_only=True)
    actions = {action for part in document["Statement"] for action in part["Action"]}
    assert actions <= {
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:ListBucketVersions",
    }


def test_each_step_has_a_promise_for_the_dry_run() -> None:
    steps = [name for name in vars(DrillSession) if not name.startswith("_")]
    assert len(steps) > 15
    for name in steps:
        assert getattr(DrillSession, name).__doc__


def test_a_table_that_production_has_and_the_copy_lacks_fails_the_proof() -> None:
    had = frozenset({"app: public.orders", "app: public.customers"})
    assert judge_tables(had, had | {"app: public.new"}).status is Status.PASS
    lacking = judge_tables(had, frozenset({"app: public.orders"}))
    assert lacking.status is Status.FAIL
    assert "customers" in lacking.observed
    assert judge_tables(frozenset(), frozenset()).status is Status.NOT_APPLICABLE
