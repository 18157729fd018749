"""Recovery targets: zones, summer time, and what a repository can reach."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chronos_ops.drill.target import Line, Reach, choose_backup, reach_of
from chronos_ops.facts.backups import BackupSet
from chronos_ops.facts.wal_archive import Archive
from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters import parse_parameters
from chronos_ops.model.recovery_target import RecoveryTarget, at_time, parse_target
from chronos_ops.model.wal import Lsn, WalSegment

NOW = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("time:2026-11-22T21:00:00Z", "2026-11-22 21:00:00.000000+00"),
        ("time:2026-11-22 21:00:00.5+02:00", "2026-11-22 19:00:00.500000+00"),
        ("time:2026-11-22 16:00 America/Toronto", "2026-11-22 21:00:00.000000+00"),
        ("time:2026-07-01 12:00 Europe/Berlin", "2026-07-01 10:00:00.000000+00"),
        ("time:2026-11-22 21:00 UTC", "2026-11-22 21:00:00.000000+00"),
    ],
)
def test_a_time_is_handed_on_in_utc_with_its_offset(text: str, value: str) -> None:
    target = parse_target(text, NOW)
    assert target.options() == ["--type=time", f"--target={value}", "--target-action=promote"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-11-22T21:00:00Z", "not a recovery target"),
        ("time:yesterday", "not a time"),
        ("time:2026-11-22T21:00:00", "needs its time zone"),
        ("time:2026-11-22T21:00:00Z Europe/Berlin", "both an offset and a zone"),
        ("time:2026-10-25 02:30 Europe/Berlin", "twice"),
        ("time:2026-11-01 01:30 America/Toronto", "twice"),
        ("time:2026-03-29 02:30 Europe/Berlin", "no such time"),
        ("time:2026-11-22 21:00 EST", "ambiguous time zone"),
        ("time:2026-11-22 21:00 Etc/GMT+5", "ambiguous time zone"),
        ("time:2026-11-22 21:00 Europe/Nowhere", "unknown time zone"),
        ("time:2026-11-22T23:00:00Z", "in the future"),
        ("lsn:0x3000060", "not an LSN"),
        ("xid:-5", "not a transaction id"),
        ("xid:2", "not a transaction id"),
        ("name:" + "x" * 64, "at most 63 bytes"),
        ("lsn:0/3000060 timeline:zero", "not a timeline"),
    ],
)
def test_what_could_be_misread_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_target(text, NOW)


def test_the_refusal_of_a_doubled_hour_names_both_offsets() -> None:
    with pytest.raises(UsageError) as caught:
        parse_target("time:2026-10-25 02:30 Europe/Berlin", NOW)
    assert "+02:00" in caught.value.hint
    assert "+01:00" in caught.value.hint


def test_options_of_each_kind() -> None:
    assert parse_target("", NOW).options() == ["--type=default"]
    assert parse_target("lsn:0/30000a0 exclusive timeline:2", NOW).options() == [
        "--type=lsn",
        "--target=0/30000A0",
        "--target-action=promote",
        "--target-exclusive",
        "--target-timeline=2",
    ]
    assert "--target=before release" in parse_target("name:before release", NOW).options()
    assert parse_target("xid:744", NOW).options()[0] == "--type=xid"
    own = parse_target("xid: exclusive", NOW)
    assert own.own
    assert own.exclusive


def backup(label: str, hour: int, lsn: str) -> BackupSet:
    stopped = int(datetime(2026, 11, 22, hour, tzinfo=UTC).timestamp())
    return BackupSet(label, "full", 1, stopped - 60, stopped, "", "", lsn, False, 0, 0, 1)


REACH = Reach(
    (backup("second", 12, "0/9000100"), backup("first", 2, "0/3000100")),
    {1: Line(WalSegment.parse("00000001000000000000000C"), datetime(2026, 11, 22, 20, tzinfo=UTC))},
)


@pytest.mark.parametrize(
    ("target", "label"),
    [
        (RecoveryTarget(), "second"),
        (at_time(datetime(2026, 11, 22, 11, tzinfo=UTC)), "first"),
        (at_time(datetime(2026, 11, 22, 12, tzinfo=UTC)), "first"),  # the same second: too near
        (at_time(datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)), "second"),
        (parse_target("lsn:0/9000000", NOW), "first"),
        (parse_target("lsn:0/C000010", NOW), "second"),
        (parse_target("xid:800", NOW), "first"),  # not known where: from there all is reached
    ],
)
def test_the_newest_backup_before_the_target_is_taken(target: RecoveryTarget, label: str) -> None:
    assert choose_backup(target, REACH).label == label


def test_a_position_known_to_lie_before_the_target_chooses_for_xid_and_name() -> None:
    target = parse_target("name:before_release", NOW)
    assert choose_backup(target, REACH, after=Lsn.parse("0/4000000")).label == "first"


@pytest.mark.parametrize(
    "target",
    [
        at_time(datetime(2026, 11, 22, 1, tzinfo=UTC)),
        at_time(datetime(2026, 11, 22, 21, tzinfo=UTC)),
        parse_target("lsn:0/2000000", NOW),
        parse_target("lsn:0/D000000", NOW),
    ],
)
def test_an_unreachable_target_is_refused(target: RecoveryTarget) -> None:
    with pytest.raises(UsageError, match="cannot be reached"):
        choose_backup(target, REACH)


def segments(*names: str) -> Archive:
    found = tuple(WalSegment.parse(name) for name in names)
    return Archive(found, {name: 1_700_000_000 + place for place, name in enumerate(names)})


def test_each_timeline_has_its_own_newest_segment() -> None:
    """A higher timeline with fewer segments does not hide what the lower one holds."""
    archive = segments(
        "00000001000000000000000C", "000000010000000000000009", "000000020000000000000007"
    )
    reach = reach_of(REACH.backups, archive, clock=True)
    assert {number: str(line.newest)[-2:] for number, line in reach.lines.items()} == {
        1: "0C",
        2: "07",
    }
    assert reach.timeline == 2
    on_one = parse_target("lsn:0/9800000 timeline:1", NOW)
    assert choose_backup(on_one, reach).label == "second"
    with pytest.raises(UsageError, match="after the last archived WAL"):
        choose_backup(parse_target("lsn:0/9800000", NOW), reach)  # follows timeline 2
    with pytest.raises(UsageError, match=r"no WAL of that timeline.*1, 2"):
        choose_backup(parse_target("lsn:0/9800000 timeline:3", NOW), reach)


def on_line(label: str, hour: int, lsn: str, timeline: int) -> BackupSet:
    return replace(backup(label, hour, lsn), wal_stop=f"{timeline:08X}0000000000000009")


FORKED = reach_of(
    (
        on_line("before", 2, "0/3000100", 1),
        on_line("on 1, after 2 left it", 11, "0/8000100", 1),
        on_line("on 2", 13, "0/9000100", 2),
    ),
    segments("00000001000000000000000C", "00000002000000000000000C"),
    {2: ((1, Lsn.parse("0/7000000")),)},
)


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("latest", "on 2"),
        ("latest timeline:1", "on 1, after 2 left it"),  # not the newest: it is on 2
        ("immediate", "on 2"),
        ("time:2026-11-22T12:30:00Z", "before"),  # the one of 11:00 does not lead to 2
        ("time:2026-11-22T12:30:00Z timeline:1", "on 1, after 2 left it"),
        ("time:2026-11-22T14:00:00Z timeline:1", "on 1, after 2 left it"),
        ("lsn:0/A000000 timeline:1", "on 1, after 2 left it"),
        ("lsn:0/A000000", "on 2"),
        ("lsn:0/8800000", "before"),
        ("lsn:0/8800000 timeline:current", "on 1, after 2 left it"),
        ("xid:900", "before"),
    ],
)
def test_only_a_backup_that_leads_to_the_timeline_is_taken(words: str, label: str) -> None:
    assert choose_backup(parse_target(words, NOW), FORKED).label == label


def test_a_timeline_without_wal_is_the_latest_all_the_same() -> None:
    """A promoted copy sends its history at once, its first segment up to a minute later."""
    reach = reach_of(
        FORKED.backups[:2],
        segments("00000001000000000000000C"),
        {2: ((1, Lsn.parse("0/7000000")),)},
    )
    assert reach.timeline == 2
    assert choose_backup(RecoveryTarget(), reach).label == "before"
    assert str(reach.newest_segment) == "00000001000000000000000C"


def test_a_timeline_before_every_backup_is_refused() -> None:
    young = replace(FORKED, backups=FORKED.backups[2:])
    with pytest.raises(UsageError, match="no backup was taken before timeline 1 began, or on it"):
        choose_backup(parse_target("latest timeline:1", NOW), young)


def test_an_empty_repository_reaches_nothing() -> None:
    with pytest.raises(UsageError, match="holds no backup"):
        choose_backup(RecoveryTarget(), Reach(()))


def test_an_unreadable_target_is_refused_with_the_parameters() -> None:
    with pytest.raises(UsageError, match="needs its time zone"):
        parse_parameters("disaster_recovery", {"recovery_target": "time:2026-11-22T21:00:00"})
