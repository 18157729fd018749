"""Timeline histories as they come out of the archive, in the form of PostgreSQL's manual."""

import pytest

from chronos_ops.facts.wal_archive import histories
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import ShellAnswer
from chronos_ops.model.wal import Lsn

SECOND = """\
== 00000002.history
1\t0/604A3B8\tat restore point "a == b"

"""
THIRD = """\
== 00000003.history
# a comment
1\t0/604A3B8\tat restore point "a == b"

2\t0/9000000\tno recovery target specified

"""


def read(text: str) -> object:
    return histories("main", 1, "17-1").parse(ShellAnswer(0, text, ""))


def test_where_each_timeline_left_its_ancestors() -> None:
    left = (1, Lsn.parse("0/604A3B8"))
    assert read("") == {}
    assert read(SECOND + THIRD) == {2: (left,), 3: (left, (2, Lsn.parse("0/9000000")))}


@pytest.mark.parametrize(
    "text",
    ["nonsense\n", "== 00000002.history\n", "== 2.history\n1\t0/604A3B8\tx\n"],
)
def test_what_is_no_history_is_not_known(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read(text)
