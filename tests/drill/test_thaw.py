"""The thaw's wait against an S3 that keeps time: interrupted, gone on with, given up (B2)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from chronos_ops.connectors.aws import AwsRefused
from chronos_ops.drill import thaw
from chronos_ops.drill.scenarios.long_term_set import alone
from chronos_ops.evidence.journal import FileJournal
from chronos_ops.evidence.redact import Redactor
from chronos_ops.execution.context import Context
from chronos_ops.facts.s3 import objects
from chronos_ops.model.errors import TransportError, UnfitTarget
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.plans.identity import policy_document
from chronos_ops.plans.thaw import Needed
from tests.plans.test_thaw import SETTINGS, needs, stored

HOUR = 3600.0


class Glacier:
    """S3 at the connector: twelve hours a thaw, copies that end, on a clock of its own."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.ordered: dict[str, float] = {}
        self.asked: list[str] = []
        self.objects = {item.key: item for item in stored()}
        self.copies_end = timedelta(days=3)
        self.breaks: Callable[[], None] = lambda: None

    def call(self, service: str, operation: str, **given: Any) -> dict[str, Any]:
        assert (service, operation) == ("s3", "restore_object")
        assert given["RestoreRequest"] == {"Days": 3, "GlacierJobParameters": {"Tier": "Bulk"}}
        key = given["Key"]
        self.asked.append(key)
        if key not in self.objects:
            raise AwsRefused(operation, "NoSuchKey", "")
        if key in self.ordered:
            code = "RestoreAlreadyInProgress"
            if self.clock < self.ordered[key] + 12 * HOUR:
                raise AwsRefused(operation, code, "")
            return {}
        self.ordered[key] = self.clock
        return {}

    def ask(self, question: Any) -> Any:
        self.breaks()
        prefix = question.arguments["Prefix"]
        return {"Contents": [self._shown(key) for key in self.objects if key.startswith(prefix)]}

    def _shown(self, key: str) -> dict[str, Any]:
        item = self.objects[key]
        shown: dict[str, Any] = {"Key": key, "Size": item.size, "StorageClass": item.storage_class}
        if key in self.ordered:
            running = self.clock < self.ordered[key] + 12 * HOUR
            shown["RestoreStatus"] = {"IsRestoreInProgress": running}
            if not running:
                shown["RestoreStatus"]["RestoreExpiryDate"] = datetime.now(UTC) + self.copies_end
        return shown

    def needed(self) -> Needed:
        listed = self.ask(type("Q", (), {"arguments": {"Prefix": "long-term/"}}))
        return needs(objects("b", "long-term").parse(listed))

    # time, as the module under test sees it

    def monotonic(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        self.clock += seconds


@pytest.fixture
def glacier(monkeypatch: pytest.MonkeyPatch) -> Glacier:
    found = Glacier()
    monkeypatch.setattr(thaw, "time", found)
    return found


@pytest.fixture
def context(glacier: Glacier, tmp_path: Path) -> Context:
    folder = tmp_path / "run"
    folder.mkdir()
    parameters = parse_parameters("disaster_recovery", {"target": "t"})
    nothing = cast(Any, None)
    journal = FileJournal(folder, Redactor())
    return Context("r", folder, SETTINGS, parameters, journal, cast(Any, glacier), nothing)


def waited(context: Context, glacier: Glacier, hours: float = 15) -> Needed:
    needed = glacier.needed()
    thaw.order(context, needed, "bulk", 3)
    return thaw.wait(context, needed, "bulk", 3, hours * HOUR)


def test_the_frozen_objects_alone_are_ordered_and_waited_for(
    context: Context, glacier: Glacier
) -> None:
    assert not waited(context, glacier).frozen
    assert sorted(glacier.asked) == sorted(k for k in glacier.objects if "222206F/bundle" in k)
    assert 12 * HOUR <= glacier.clock < 12.1 * HOUR


def test_a_run_that_was_killed_while_it_waited_is_gone_on_with(
    context: Context, glacier: Glacier
) -> None:
    def killed() -> None:
        if glacier.clock > HOUR:
            raise KeyboardInterrupt

    glacier.breaks = killed
    with pytest.raises(KeyboardInterrupt):
        waited(context, glacier)
    assert glacier.clock < 2 * HOUR
    glacier.breaks = lambda: None
    asked = list(glacier.asked)
    assert not waited(context, glacier).frozen
    assert glacier.asked == asked  # nothing is ordered or paid twice
    assert glacier.clock < 12.1 * HOUR  # from the first order on


def test_a_second_run_in_between_is_no_error(context: Context, glacier: Glacier) -> None:
    before = glacier.needed()
    thaw.order(context, before, "bulk", 3)
    thaw.order(context, before, "bulk", 3)  # it had looked before the first one ordered
    assert len(glacier.asked) == 2 * len(glacier.ordered)


def test_patience_ends_with_a_name_and_the_way_on(context: Context, glacier: Glacier) -> None:
    with pytest.raises(UnfitTarget, match="not complete after 2 h") as caught:
        waited(context, glacier, hours=2)
    assert caught.value.breaks is thaw.THAWED
    assert "start the same run again" in caught.value.hint
    assert glacier.clock == pytest.approx(2 * HOUR, rel=0.01)


def test_a_look_that_fails_on_its_way_is_made_again(context: Context, glacier: Glacier) -> None:
    def cut() -> None:
        if 3 * HOUR < glacier.clock < 4 * HOUR:
            raise TransportError("no answer", "s3")

    glacier.breaks = cut
    assert not waited(context, glacier).frozen


def test_an_object_that_expires_meanwhile_ends_the_wait(context: Context, glacier: Glacier) -> None:
    gone = next(key for key in glacier.objects if "222206F/bundle/1" in key)

    def expire() -> None:
        if glacier.clock > HOUR:
            glacier.objects.pop(gone, None)

    glacier.breaks = expire
    with pytest.raises(UnfitTarget, match="gone from the bucket") as caught:
        waited(context, glacier)
    assert caught.value.breaks is thaw.WHOLE
    assert glacier.clock < 2 * HOUR


def test_a_copy_that_ended_is_ordered_again(context: Context, glacier: Glacier) -> None:
    needed = glacier.needed()
    thaw.order(context, needed, "bulk", 3)
    glacier.ordered.pop(next(iter(glacier.ordered)))
    assert not thaw.wait(context, needed, "bulk", 3, 15 * HOUR).frozen


def test_a_copy_that_ends_soon_is_kept_for_longer(context: Context, glacier: Glacier) -> None:
    waited(context, glacier)
    asked = len(glacier.asked)
    assert thaw.order(context, glacier.needed(), "bulk", 3) == 0
    glacier.copies_end = timedelta(hours=2)
    assert thaw.order(context, glacier.needed(), "bulk", 3) == 2
    assert len(glacier.asked) == asked + 2


def test_nothing_frozen_waits_for_nothing(context: Context, glacier: Glacier) -> None:
    glacier.objects = {
        k: replace(i, storage_class="GLACIER_IR") for k, i in glacier.objects.items()
    }
    assert not waited(context, glacier).frozen
    assert (glacier.asked, glacier.clock) == ([], 0.0)


def test_missing_rights_are_named(context: Context, glacier: Glacier) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise AwsRefused("s3 restore_object", "AccessDenied", "no")

    glacier.call = denied  # type: ignore[method-assign]
    with pytest.raises(AwsRefused) as caught:
        waited(context, glacier)
    assert "s3:RestoreObject" in caught.value.hint


def test_the_scratch_host_may_read_the_long_term_prefix_alone() -> None:
    document = policy_document(alone(SETTINGS).backup, read_only=True)
    listing, using = document["Statement"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["long-term/*"]}}
    assert using["Resource"] == ["arn:aws:s3:::project-chronos-backups/long-term/*"]
    assert "s3:RestoreObject" not in using["Action"]


def test_copies_must_outlast_the_wait() -> None:
    wanted = {"target": "t", "scenario": "long_term_set", "thaw_tier": "bulk"}
    assert parse_parameters("disaster_recovery", wanted).waiting_seconds == 60 * HOUR
    with pytest.raises(Exception, match="thaw_days 1"):
        parse_parameters("disaster_recovery", wanted | {"thaw_days": 1})
    del wanted["scenario"]
    assert parse_parameters("disaster_recovery", wanted).waiting_seconds == 0
