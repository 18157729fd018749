"""Which snapshots a drill host may be made from."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chronos_ops.drill.snapshot import choose
from chronos_ops.facts.lightsail import Snapshot, bundle_disks, snapshots
from chronos_ops.model.errors import UnreadableAnswer, UsageError
from chronos_ops.model.settings import Settings
from tests.drill.test_restore import settings

READY = Snapshot("prepared", "available", "100%", "a-host", 60, datetime(2026, 11, 1, tzinfo=UTC))
DISKS = {"micro_3_0": 40, "small_3_0": 60}


def on(bundle: str) -> Settings:
    declared = settings()
    return declared.model_copy(
        update={"drill": declared.drill.model_copy(update={"bundle_id": bundle})}
    )


def test_an_available_snapshot_of_another_host_is_taken() -> None:
    assert choose(on("small_3_0"), "prepared", [READY], DISKS) == READY


@pytest.mark.parametrize(
    ("changed", "bundle", "why"),
    [
        ({"state": "pending", "progress": "40%"}, "small_3_0", "not available: pending 40%"),
        ({"state": "error"}, "small_3_0", "not available: error"),
        ({"from_instance": "i"}, "small_3_0", "copy of the declared host"),
        ({}, "micro_3_0", "disk of micro_3_0 is smaller"),
        ({"name": "prepared-1"}, "small_3_0", "(?s)no such instance snapshot.*did you mean"),
        ({"name": "xyz"}, "small_3_0", "there is: xyz"),
    ],
)
def test_what_cannot_be_used_is_refused(changed: dict[str, str], bundle: str, why: str) -> None:
    found = replace(READY, **changed)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=why):
        choose(on(bundle), "prepared", [found], DISKS)


def test_lightsail_s_answers_are_read() -> None:
    item = {
        "name": "prepared",
        "state": "available",
        "progress": "100%",
        "fromInstanceName": "a-host",
        "sizeInGb": 60,
        "createdAt": datetime(2026, 11, 1, tzinfo=UTC),
    }
    assert snapshots().parse({"instanceSnapshots": [item]}) == [READY]
    disks = bundle_disks().parse({"bundles": [{"bundleId": "small_3_0", "diskSizeInGb": 60}]})
    assert disks == {"small_3_0": 60}
    with pytest.raises(UnreadableAnswer):
        snapshots().parse({"instanceSnapshots": [{}]})
    with pytest.raises(UnreadableAnswer):
        bundle_disks().parse({"bundles": [{}]})
