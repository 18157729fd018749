"""What a long-term set needs, what thawing it costs, and what is missing of it (B2)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chronos_ops.facts.backups import BackupSet, StanzaInfo
from chronos_ops.facts.s3 import StoredObject, objects
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Finding, Status
from chronos_ops.model.monitoring import Prices
from chronos_ops.plans import thaw
from chronos_ops.plans.thaw import Needed
from tests.recorded_cases import example_settings, parsed

SETTINGS = example_settings()
INFO: StanzaInfo = parsed("backup_info", "debian-13")
SET = INFO.of_repo(2)[0]
SEGMENT = 16 * 2**20
DAY = 86400
# Sizes as pgBackRest 2.55 wrote them for this set.
SIZES = {
    "archive/chronos/archive.info": 368,
    "archive/chronos/archive.info.copy": 368,
    "archive/chronos/17-1/0000000100000000/000000010000000000000004-aa.lz4": 69312,
    "archive/chronos/17-1/0000000100000000/000000010000000000000005-bb.lz4": 69408,
    "archive/chronos/17-1/0000000100000000/000000010000000000000006-cc.lz4": 69280,
    "archive/chronos/17-1/0000000100000000/000000010000000000000007-dd.lz4": 69280,
    "backup/chronos/backup.info": 1248,
    "backup/chronos/backup.info.copy": 1248,
    f"backup/chronos/{SET.label}/backup.manifest": 177456,
    f"backup/chronos/{SET.label}/backup.manifest.copy": 177456,
    f"backup/chronos/{SET.label}/bundle/1": 2583728,
    f"backup/chronos/{SET.label}/bundle/2": 214600,
    f"backup/chronos/{SET.label}/pg_data/backup_label.zst": 208,
    "backup/chronos/20261115-063000F/bundle/1": 5,
}


def stored(frozen: str = "/bundle/", storage_class: str = "DEEP_ARCHIVE") -> list[StoredObject]:
    return [
        StoredObject(f"long-term/{key}", size, storage_class if frozen in key else "STANDARD")
        for key, size in SIZES.items()
    ]


def needs(items: list[StoredObject], backup: BackupSet = SET) -> Needed:
    return thaw.needed(SETTINGS, INFO, backup, items, SEGMENT)


def test_exactly_the_objects_of_the_set_are_needed() -> None:
    found = needs(stored())
    assert {i.key.removeprefix("long-term/") for i in found.objects} == set(SIZES) - {
        "archive/chronos/17-1/0000000100000000/000000010000000000000004-aa.lz4",
        "archive/chronos/17-1/0000000100000000/000000010000000000000007-dd.lz4",
        "backup/chronos/20261115-063000F/bundle/1",
    }
    assert len(found.frozen) == 2
    assert all(thaw_finding.good for thaw_finding in judged(found))


def judged(found: Needed) -> list[Finding]:
    return [
        thaw.judge_info_readable(found, 8 * 2**20),
        thaw.judge_set_complete(found),
        thaw.judge_wal_range(found),
    ]


def test_a_set_that_refers_to_others_needs_them_too() -> None:
    diff = replace(SET, label=f"{SET.label}_20261123-000000D", references=(SET.label,))
    info = replace(INFO, backups=(*INFO.backups, diff))
    found = thaw.needed(SETTINGS, info, diff, stored(), SEGMENT)
    assert len(found.frozen) == 2
    assert found.incomplete == (f"{diff.label} has no manifest",)


def test_a_later_timeline_needs_its_history() -> None:
    backup = replace(SET, wal_start="000000020000000000000005", wal_stop="000000020000000000000005")
    below = "long-term/archive/chronos/17-1/"
    segment = f"{below}0000000200000000/000000020000000000000005-ee.lz4"
    keys = (f"{below}00000002.history", segment)
    found = needs([*stored(), *(StoredObject(key, 9, "GLACIER") for key in keys)], backup)
    assert {item.key for item in found.wal} == set(keys)
    assert not found.missing_wal


def test_wal_of_another_cluster_is_no_wal_of_the_set() -> None:
    found = needs(stored(), replace(SET, database_id=2))
    assert len(found.missing_wal) == 2


@pytest.mark.parametrize("fragment", ["bundle/2", "backup_label", "backup.manifest"])
def test_a_set_partly_expired_is_named(fragment: str) -> None:
    finding = thaw.judge_set_complete(needs([i for i in stored() if fragment not in i.key]))
    assert finding.status is Status.FAIL
    assert SET.label in finding.observed
    assert finding.hint


def test_a_hole_in_the_wal_range_is_named() -> None:
    finding = thaw.judge_wal_range(needs([i for i in stored() if "06-cc" not in i.key]))
    assert finding.status is Status.FAIL
    assert "000000010000000000000006" in finding.observed


def test_a_frozen_manifest_is_named_with_the_size_filter() -> None:
    finding = thaw.judge_info_readable(needs(stored("backup.manifest")), 8 * 2**20)
    assert finding.status is Status.FAIL
    assert "backup.manifest" in finding.observed
    assert "transition_min_bytes" in finding.hint
    thawed = [replace(i, thawed_until=datetime.now(UTC)) for i in stored("backup.manifest")]
    assert thaw.judge_info_readable(needs(thawed), 8 * 2**20).status is Status.FAIL


# -- which set


def weekly(*ages: int) -> StanzaInfo:
    """Fulls of repo2 that ended so many days ago."""
    now = 2_000_000_000
    sets = tuple(replace(SET, label=f"old-{age}F", stopped=now - age * DAY) for age in ages)
    return replace(INFO, backups=sets)


NOW = 2_000_000_000.0


def test_the_oldest_full_is_taken_that_stays_long_enough() -> None:
    info = weekly(371, 364, 357)
    assert thaw.choose(info, "", 365, NOW).label == "old-371F"  # 364 keeps it for a day
    assert thaw.choose(info, "", 365, NOW + 2 * DAY).label == "old-364F"
    with pytest.raises(UsageError, match="may be deleted") as caught:
        thaw.choose(info, "old-371F", 365, NOW + 2 * DAY)
    assert "old-364F" in caught.value.hint
    assert thaw.choose(weekly(900), "old-900F", 365, NOW).label == "old-900F"  # the only one


@pytest.mark.parametrize(
    ("label", "why"),
    [("20200101-000000F", "no such backup set"), ("20261122-222203F", "lies in repo1 alone")],
)
def test_a_label_that_is_not_there_is_refused_with_those_that_are(label: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        thaw.choose(INFO, label, 365, NOW)
    assert SET.label in caught.value.hint


def test_no_full_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="no full"):
        thaw.choose(replace(INFO, backups=()), "", 365, NOW)


# -- time and price


def test_a_terabyte_is_priced_by_its_tier() -> None:
    big = replace(stored()[10], size=1000 * 2**30)
    found = replace(needs(stored()), files=(big,))
    prices = Prices()
    rows = {tier: thaw.price(found, prices, tier, 3) for tier in ("standard", "bulk")}
    copies = 1000 * prices.s3_standard_gb_month * 3 / 30.4375
    assert rows["standard"][-1]["USD"] == pytest.approx(22 + 0.00011 + copies, rel=0.01)
    assert rows["bulk"][-1]["USD"] == pytest.approx(2.75 + 0.00003 + copies, rel=0.01)


def test_what_was_ordered_before_is_not_paid_again() -> None:
    running = [replace(i, thawing=i.storage_class == "DEEP_ARCHIVE") for i in stored()]
    row = thaw.price(needs(running), Prices(), "standard", 3)[-1]
    assert (row["USD"], row["to thaw"]) == (0, 0)


def test_a_class_without_a_price_is_refused() -> None:
    with pytest.raises(UsageError, match="no price"):
        thaw.price(needs(stored(storage_class="OUTPOSTS")), Prices(), "standard", 3)


def test_the_stated_time_is_that_of_the_slowest() -> None:
    both = [*needs(stored()).frozen, *needs(stored(storage_class="GLACIER")).frozen]
    assert thaw.stated_hours(both, "standard") == 12
    assert thaw.stated_hours(both, "bulk") == 48
    assert thaw.stated_hours(needs(stored(storage_class="GLACIER")).frozen, "standard") == 5
    assert thaw.stated_hours([], "bulk") == 0


def test_listings_tell_what_is_being_thawed() -> None:
    ends = datetime(2026, 12, 1, tzinfo=UTC)
    listed = [
        {"Key": "a", "Size": 1, "StorageClass": "GLACIER", "RestoreStatus": status}
        for status in (
            {"IsRestoreInProgress": True},
            {"IsRestoreInProgress": False, "RestoreExpiryDate": ends},
        )
    ]
    running, back = objects("b", "p").parse({"Contents": listed})
    assert running.thawing
    assert not running.readable
    assert back.readable
    assert back.thawed_until == ends


def test_the_table_of_restore_points_says_how_long_a_thaw_takes() -> None:
    assert thaw.readable_when(SET, stored()) == "frozen: 12 h (bulk 48 h)"
    running = [replace(i, thawing=True) for i in stored(storage_class="GLACIER")]
    assert thaw.readable_when(SET, running) == "thawing: 5 h (bulk 12 h)"
    assert thaw.readable_when(SET, stored(storage_class="GLACIER_IR")) == "at once"
    diff = replace(SET, label=f"{SET.label}_20261123-000000D", references=(SET.label,))
    assert thaw.readable_when(diff, stored()).startswith("frozen")
