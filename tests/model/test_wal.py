"""WAL arithmetic by literal tables."""

import pytest

from chronos_ops.model.wal import Lsn, WalSegment

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("0/0", 0),
        ("0/3000060", 0x3000060),
        ("0/FFFFFFFF", 0xFFFFFFFF),
        ("1/0", 0x100000000),
        ("16/B374D848", 0x16B374D848),
        ("FFFFFFFF/FFFFFFFF", 0xFFFFFFFFFFFFFFFF),
    ],
)
def test_an_lsn_reads_and_prints(text: str, position: int) -> None:
    assert Lsn.parse(text) == Lsn(position)
    assert str(Lsn(position)) == text


def test_an_lsn_reads_as_people_paste_it() -> None:
    assert Lsn.parse(" 16/b374d848\n") == Lsn.parse("16/B374D848")


@pytest.mark.parametrize("text", ["", "0", "0/", "/0", "0/G", "0-1", "123456789/0", "0/0 x"])
def test_what_is_no_lsn_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an LSN"):
        Lsn.parse(text)


@pytest.mark.parametrize(
    ("smaller", "greater", "bytes_between"),
    [
        ("0/0", "0/1", 1),
        ("0/FFFFFFFF", "1/0", 1),  # as text the order would be the other way round
        ("9/0", "10/0", 7 << 32),
        ("0/3000060", "0/3000060", 0),
    ],
)
def test_lsns_compare_and_subtract(smaller: str, greater: str, bytes_between: int) -> None:
    first, second = Lsn.parse(smaller), Lsn.parse(greater)
    assert second - first == bytes_between
    assert first <= second
    assert (first < second) is (bytes_between > 0)
    assert (second > first) is (bytes_between > 0)


@pytest.mark.parametrize(
    ("lsn", "timeline", "segment_mib", "name"),
    [
        ("0/0", 1, 16, "000000010000000000000000"),
        ("0/3000060", 1, 16, "000000010000000000000003"),
        ("0/FFFFFFFF", 1, 16, "0000000100000000000000FF"),
        ("1/0", 1, 16, "000000010000000100000000"),
        ("16/B374D848", 0x2A, 16, "0000002A00000016000000B3"),
        ("0/4000000", 1, 64, "000000010000000000000001"),
        ("0/FFFFFFFF", 1, 64, "00000001000000000000003F"),
        ("1/0", 1, 64, "000000010000000100000000"),
        ("0/FFFFF", 1, 1, "000000010000000000000000"),
        ("0/100000", 1, 1, "000000010000000000000001"),
    ],
)
def test_the_segment_that_holds_an_lsn(
    lsn: str, timeline: int, segment_mib: int, name: str
) -> None:
    segment = WalSegment.containing(Lsn.parse(lsn), timeline, segment_mib * MIB)
    assert str(segment) == name
    assert WalSegment.parse(name, segment_mib * MIB) == segment


def test_a_segment_is_read_out_of_a_repository_file_name() -> None:
    stored = "000000010000000000000003-1f2e3d4c.zst"
    assert str(WalSegment.parse(stored)) == "000000010000000000000003"


@pytest.mark.parametrize("name", ["", "00000002.history", "00000001000000000000000G", "0" * 23])
def test_what_is_no_segment_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a WAL segment name"):
        WalSegment.parse(name)


def test_segments_count_across_the_boundary() -> None:
    before = WalSegment.parse("0000000100000000000000FF")
    after = WalSegment.parse("000000010000000100000001")
    assert after - before == 2
    assert before < after


def test_segments_of_two_timelines_do_not_compare() -> None:
    old = WalSegment.parse("000000010000000000000003")
    new = WalSegment.parse("000000020000000000000004")
    with pytest.raises(TypeError, match="different timelines"):
        _ = old < new
    with pytest.raises(TypeError, match="different timelines"):
        _ = new - old
