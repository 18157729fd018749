"""What an operator may write as a recovery target, and what could be misread (D7)."""

from datetime import UTC, datetime

import pytest

from chronos_ops.model.errors import UsageError
from chronos_ops.model.recovery_target import parse_target

NOW = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-22T21:00:00z", "2026-11-22 21:00:00.000000+00"),
        ("2026-11-22t21:00:00Z", "2026-11-22 21:00:00.000000+00"),
        ("2026-11-22 21:00 Z", "2026-11-22 21:00:00.000000+00"),
        ("2026-11-22 21:00 utc", "2026-11-22 21:00:00.000000+00"),
        ("2026-11-22 21:00:00.123456+00", "2026-11-22 21:00:00.123456+00"),  # as PostgreSQL says
        ("2026-11-22 17:30:00.5-0330", "2026-11-22 21:00:00.500000+00"),
        ("2026-11-22 17:30 America/St_Johns", "2026-11-22 21:00:00.000000+00"),
        ("2026-11-01 01:30-04:00", "2026-11-01 05:30:00.000000+00"),  # the doubled hour, once
        ("2026-11-01 01:30-05:00", "2026-11-01 06:30:00.000000+00"),  # and again
        ("2026-11-01 00:59:59.999999 America/Toronto", "2026-11-01 04:59:59.999999+00"),
        ("2026-11-01 02:00 America/Toronto", "2026-11-01 07:00:00.000000+00"),
        ("2026-03-08 03:00 America/Toronto", "2026-03-08 07:00:00.000000+00"),
    ],
)
def test_each_way_to_write_a_moment_is_that_moment(text: str, value: str) -> None:
    assert parse_target(f"time:{text}", NOW).value == value


@pytest.mark.parametrize(
    "text",
    [
        "2026",
        "2026Z",
        "2026-11-22",  # a date is no moment: its midnight was not asked for
        "2026-11-22Z",
        "20261122T210000Z",
        "2026-W47-7T21:00:00Z",
        "1763845200",
        "1763845200.5",
        "2026-11-21T24:00:00Z",
        "2026-11-22T21:00:60Z",
        "2026-11-22T21:60:00Z",
        "2026-13-22T21:00:00Z",
        "2026-11-31T21:00:00Z",
        "2026-11-22T21:00:00.1234567Z",  # PostgreSQL's clock has microseconds
        "2026-11-22T21:00:00,5Z",
        "2026-11-22T21Z",
        "2026-11-22T21:00:00+24:00",
        "2026-11-22T21:00:00+05:60",
        "2026-11-22T21:00:00+5",
        "2026-11-22  21:00:00Z",
        "26-11-22 21:00:00Z",
        "11/22/2026 21:00 UTC",
        "0001-01-01T00:00:00+14:00",
        "\u0662026-11-22T21:00:00Z",
    ],
)
def test_what_is_no_moment_with_a_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        parse_target(f"time:{text}", NOW)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("time:2026-11-22 21:00 right/Europe/Berlin", "ambiguous time zone"),  # leap seconds
        ("time:2026-11-22 21:00 posix/Europe/Berlin", "ambiguous time zone"),
        ("time:2026-11-22 21:00 CET", "ambiguous time zone"),
        ("time:2026-11-22 21:00 GMT+5", "ambiguous time zone"),
        ("time:2026-11-22 21:00 localtime", "ambiguous time zone"),
        ("time:2026-11-22 21:00 America/Indiana", "unknown time zone"),  # a folder
        ("time:2026-11-22 21:00 America/../UTC", "not a time"),
        ("time:2026-04-05 01:45 Australia/Lord_Howe", "twice"),  # half an hour back
        ("time:2026-03-08 02:30 America/Toronto", "no such time"),
        ("time:2026-10-04 02:15 Australia/Lord_Howe", "no such time"),
        ("time:2011-12-30 12:00 Pacific/Apia", "no such time"),  # a day that was left out
        ("lsn:0/3000060 timeline:1 timeline:2", "something twice"),
        ("lsn:0/3000060 exclusive exclusive", "something twice"),
        ("lsn:0/3000060 timeline:0", "not a timeline"),
        ("lsn:0/3000060 timeline:4294967296", "not a timeline"),
        ("lsn:0/3000060 timeline:00000002", "not a timeline"),
        ("name:before_release exclusive", "name knows no exclusive"),
        ("latest exclusive", "latest knows no exclusive"),
        ("immediate exclusive", "immediate knows no exclusive"),
        ("immediate timeline:1", "immediate knows no timeline"),
        ("latest:", "not a recovery target"),
        ("xid:4294967297", "not a transaction id"),  # its low 32 bits are bootstrap's
        ("xid:18446744073709551616", "not a transaction id"),
        ("xid:0x3e8", "not a transaction id"),
        ("name:one\nrecovery_target_action = 'pause'", "control characters"),
    ],
)
def test_what_pgbackrest_or_postgresql_would_misread_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_target(text, NOW)


def test_the_end_of_a_timeline_and_of_a_backup() -> None:
    assert parse_target("latest", NOW) == parse_target("", NOW)
    assert parse_target("latest timeline:1", NOW).options() == [
        "--type=default",
        "--target-timeline=1",
    ]
    assert parse_target("immediate", NOW).options() == [
        "--type=immediate",
        "--target-action=promote",
    ]


def test_a_name_is_quoted_for_the_file_that_pgbackrest_writes() -> None:
    """pgBackRest 2.55 puts it between quotes as it is: PostgreSQL then does not start."""
    target = parse_target("name:it's \\ here", NOW)
    assert target.value == "it's \\ here"
    assert "--target=it''s \\\\ here" in target.options()
