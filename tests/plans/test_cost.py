"""The forecast: what is counted, how the lifecycle moves it, what cannot be known (M6)."""

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.facts import billed, s3_usage
from chronos_ops.facts.billed import AlarmCount
from chronos_ops.facts.lightsail import Instance, Snapshot
from chronos_ops.facts.s3_usage import Page, Stored, Usage
from chronos_ops.model.finding import Status
from chronos_ops.model.monitoring import Prices
from chronos_ops.model.settings import Settings
from chronos_ops.monitoring.cost import price_table, within
from chronos_ops.plans import cost, cost_storage
from chronos_ops.plans.bucket import wanted_lifecycle
from chronos_ops.plans.cost_line import GB, Line
from tests.monitoring.standing import settings

REPOSITORY = json.loads(
    (Path(__file__).parents[1] / "monitoring" / "recorded" / "repository.json").read_text()
)
TARGET = settings()
WHEN = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
SET = "20261101-040000F"


def instance(name: str, bundle: str = "small_3_0", **tags: str) -> Instance:
    found = {key.replace("_", ":"): value for key, value in tags.items()}
    where = "ca-central-1a"
    return Instance(
        name, "running", "10.0.0.1", "admin", WHEN, found, "debian_12", bundle, where, False
    )


def there(target: Settings = TARGET, **changes: Any) -> cost.Deployed:
    empty = list(cost.usages(target).values())
    found = cost.Deployed(
        instances=[instance("project-chronos")],
        snapshots=[],
        usage=empty,
        lifecycle=wanted_lifecycle(target),
        alarms=AlarmCount(10, 0),
        metrics=10,
        dashboards=1,
        keys=0,
        advanced_parameters=0,
    )
    return replace(found, **changes)


def stored(*versions: Stored, target: Settings = TARGET) -> list[Usage]:
    live, *rest = cost.usages(target).values()
    live.add(Page(versions, {}))
    return [live, *rest]


def lines(deployed: cost.Deployed, target: Settings = TARGET) -> dict[str, Line]:
    return {line.item: line for line in cost.forecast(target, deployed)}


def test_a_real_repository_is_read_by_place_kind_and_version() -> None:
    page = s3_usage.page("b").parse(REPOSITORY["versions"])
    usage = cost.usages(TARGET)["project-chronos-backups"]
    usage.add(page)
    assert page.next == {}
    total = sum(item["Size"] for item in REPOSITORY["versions"]["Versions"])
    assert sum(kept.size for kept in usage.stored.values()) == total
    places = {place for place, _, _ in usage.stored}
    assert places == {"repo1", "repo2"}
    assert len(usage.sets["repo1", "full"]) == 2
    assert len(usage.sets["repo2", "full"]) == 1
    assert usage.one("repo1", "full").size > usage.one("repo1", "diff").size > 100_000
    assert 60_000 < usage.one("repo1", "wal").size < 500_000
    assert usage.stored["repo1", "STANDARD", False].objects > 5
    assert usage.one("repo1", "incr").size == 0


def test_page_by_page_is_the_same() -> None:
    versions = REPOSITORY["versions"]["Versions"]
    first = {"IsTruncated": True, "Versions": versions[:40]}
    first |= {"NextKeyMarker": "k", "NextVersionIdMarker": "v"}
    pages = [first, {"IsTruncated": False, "Versions": versions[40:]}]
    usage, whole = (cost.usages(TARGET)["project-chronos-backups"] for _ in range(2))
    read = [s3_usage.page("b").parse(each) for each in pages]
    assert [each.next for each in read] == [{"KeyMarker": "k", "VersionIdMarker": "v"}, {}]
    for each in read:
        usage.add(each)
    whole.add(s3_usage.page("b").parse(REPOSITORY["versions"]))
    assert usage == whole
    assert s3_usage.page("none").parse(None) == Page((), {})


def test_the_example_of_an_empty_cluster_keeps_to_what_was_seen() -> None:
    usage = cost.usages(TARGET)["project-chronos-backups"]
    usage.add(s3_usage.page("b").parse(REPOSITORY["versions"]))
    deployed = there(usage=[usage], lifecycle=REPOSITORY["lifecycle"])
    found = lines(deployed)
    assert found["instance project-chronos (small_3_0)"].usd == 12
    pushes = found["S3 PUT and LIST: WAL pushed every 60 s to 2 repositories"]
    assert pushes.usd == pytest.approx(730 * 60 * 2 * 2 / 1000 * 0.0055)
    assert found["S3 LIST: the publisher looks every 240 s"].usd == pytest.approx(0.48, abs=0.01)
    total = cost.total(list(found.values()))
    assert total.unknown == []
    assert total.now is not None
    assert total.later is not None
    assert 13 < total.now < 14
    assert 0.2 < total.later - total.now < 1


def test_a_year_of_repo2_wanders_through_the_classes() -> None:
    """One full of 10 GB a week, kept 365 days: 31 in Standard, 60 in Glacier IR, 274 deep."""
    full = Stored(f"long-term/backup/chronos/{SET}/bundle/1", 10 * GB, "STANDARD", True)
    info = Stored(f"long-term/backup/chronos/{SET}/backup.manifest", GB // 1024, "STANDARD", True)
    found = lines(there(usage=stored(full, info)))
    weekly = 10 / 7
    assert found["S3 repo2, STANDARD"].quantity == pytest.approx(10.001, abs=1e-3)
    small = 365 / 7 / 1024
    assert found["S3 repo2, STANDARD"].later == pytest.approx(31 * weekly + small)
    assert found["S3 repo2, GLACIER_IR"].later == pytest.approx(60 * weekly)
    assert found["S3 repo2, DEEP_ARCHIVE"].later == pytest.approx(274 * weekly)
    assert found["S3 repo2, DEEP_ARCHIVE, former versions"].later == pytest.approx(30 * weekly)
    early = found["S3 repo2, GLACIER_IR left after 60 of 90 days"]
    assert early.quantity == 0
    assert early.later == pytest.approx(30 * weekly)
    assert early.price == 0.005
    moves = found["S3 moves to GLACIER_IR"]
    assert moves.quantity == 0
    assert moves.later == pytest.approx(365 / 12 / 7 / 1000)


def test_repo1_keeps_its_sets_and_the_former_versions_of_thirty_days() -> None:
    full = Stored(f"live/backup/chronos/{SET}/bundle/1", 4 * GB, "STANDARD", True)
    diff = Stored(f"live/backup/chronos/{SET}_20261101-050000D/bundle/1", GB, "STANDARD", False)
    found = lines(there(usage=stored(full, diff)))
    assert found["S3 repo1, STANDARD"].later == pytest.approx(4 * 4 + 4 * 1)
    assert found["S3 repo1, STANDARD, former versions"].later == pytest.approx(30 * (4 + 23))
    assert found["S3 repo1, STANDARD, former versions"].usd == pytest.approx(0.025)


def test_what_is_free_costs_nothing_and_what_is_beyond_has_its_price() -> None:
    found = lines(
        there(
            alarms=AlarmCount(12, 3),
            metrics=14,
            dashboards=4,
            keys=1,
            snapshots=[Snapshot("s", "available", "100%", "h", 60, WHEN)],
            instances=[
                instance("project-chronos"),
                instance("drill", chronos_run="r", chronos_target="production"),
                instance("somebody-else's", "medium_3_0"),
            ],
        )
    )
    usd = {item: line.usd for item, line in found.items()}
    assert usd["custom metrics (14, 10 free)"] == pytest.approx(4 * 0.30)
    assert usd["alarms (12, 10 free)"] == pytest.approx(2 * 0.10)
    assert usd["alarms of high resolution (3)"] == pytest.approx(3 * 0.30)
    assert usd["dashboards (4, 3 free)"] == 3
    assert usd["customer KMS keys (1)"] == 1
    assert usd["snapshots of instances (1)"] == 3
    assert usd["drill hosts (small_3_0): 1 a month, 1 now"] == pytest.approx(2 * 12 * 12 / 730)
    calm = lines(there())
    assert sum(line.usd or 0 for line in calm.values() if line.group == "monitoring") == 0


@pytest.mark.parametrize(
    ("changes", "deployed"),
    [
        ({}, {"instances": []}),
        ({}, {"instances": [instance("project-chronos", "xlarge_9")]}),
        ({}, {"lifecycle": []}),  # nothing deletes former versions: they grow for ever
        ({"backup.full_calendar": "Mon *-*~1 02:00:00 UTC"}, {}),
        ({"drill.bundle_id": "xlarge_9"}, {}),
    ],
)
def test_what_is_not_known_is_never_passed(
    changes: dict[str, Any], deployed: dict[str, Any]
) -> None:
    target = settings(changes)
    one = Stored(f"live/backup/chronos/{SET}/bundle/1", GB, "STANDARD", True)
    usage = stored(one, target=target)
    found = cost.forecast(target, there(target, **({"usage": usage} | deployed)))
    finding = within("budget", "t", found, cost.total(found), 25)
    assert finding.status is Status.UNKNOWN
    assert "not known: " in finding.observed


def test_a_class_without_a_price_is_not_known() -> None:
    one = Stored("other/thing", GB, "GLACIER", True)
    found = cost.forecast(TARGET, there(usage=stored(one)))
    assert cost.total(found).unknown == ["S3 other, GLACIER"]


def test_over_the_plan_says_by_what() -> None:
    found = cost.forecast(TARGET, there(metrics=20))
    total = cost.total(found)
    assert within("budget", "t", found, total, 25).status is Status.PASS
    over = within("plan", "t", found, total, 14)
    assert over.status is Status.FAIL
    assert "over by 2." in over.observed
    assert "beside the instance: custom metrics (20, 10 free) 3.00 USD, S3 PUT" in over.observed


@pytest.mark.parametrize(
    ("as_of", "region", "status"),
    [
        ("2026-11-01", "ca-central-1", Status.PASS),
        ("2025-11-23", "ca-central-1", Status.PASS),
        ("2025-11-22", "ca-central-1", Status.FAIL),
        ("2027-01-01", "ca-central-1", Status.FAIL),
        ("2026-11-01", "eu-west-1", Status.FAIL),
    ],
)
def test_old_prices_are_a_finding(as_of: str, region: str, status: Status) -> None:
    prices = Prices(as_of=datetime.date.fromisoformat(as_of), region=region)
    found = price_table(prices, "ca-central-1", datetime.date(2026, 11, 23))
    assert found.status is status
    assert as_of in found.observed


def test_days_in_each_class() -> None:
    moves = {"GLACIER_IR": 31, "DEEP_ARCHIVE": 91}
    spans = {"STANDARD": 31, "GLACIER_IR": 60, "DEEP_ARCHIVE": 274}
    assert cost_storage.class_days(moves, 365) == spans
    assert cost_storage.class_days(moves, 60) == {"STANDARD": 31, "GLACIER_IR": 29}
    assert cost_storage.class_days({}, 365) == {"STANDARD": 365}


def test_amazons_own_keys_metrics_and_composed_alarms() -> None:
    aliases = [
        {"AliasName": "alias/aws/ssm", "TargetKeyId": "a"},
        {"AliasName": "alias/aws/unused"},
        {"AliasName": "alias/chronos", "TargetKeyId": "b"},
    ]
    values: dict[str, Any] = dict.fromkeys(cost.facts(TARGET), 0)
    values["keys"] = billed.KEYS.parse({"Keys": [{"KeyId": "a"}, {"KeyId": "b"}]})
    values["amazons_keys"] = billed.AMAZONS_KEYS.parse({"Aliases": aliases})
    assert cost.deployed(values, []).keys == 1
    names = [{"Namespace": "AWS/EC2"}, {"Namespace": "Chronos"}, {"Namespace": "CWAgent"}]
    assert billed.METRICS.parse({"Metrics": names}) == 2
    alarms = [
        {"Period": 300},
        {"Period": 10},
        {"Metrics": [{"MetricStat": {}}, {"MetricStat": {}}]},
    ]
    assert billed.ALARMS.parse({"MetricAlarms": alarms}) == AlarmCount(3, 1)
