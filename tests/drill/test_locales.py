"""Locales that a bare image lacks."""

import pytest

from chronos_ops.drill.locales import complained_about, make, normal
from chronos_ops.model.errors import Refused

FATAL = """psql: error: connection to server failed: FATAL:  database locale is incompatible with \
operating system
DETAIL:  The database was initialized with LC_COLLATE "en_US.UTF-8",  which is not recognized by \
setlocale().
"""


def test_the_servers_complaint_names_the_locale() -> None:
    assert complained_about(FATAL) == "en_US.UTF-8"
    assert complained_about("FATAL:  the database system is starting up") == ""


def test_two_spellings_are_one_locale() -> None:
    assert normal("en_US.UTF-8") == normal("en_US.utf8")
    assert normal("C.UTF-8") == normal("C.utf8")
    assert normal("de_DE.UTF-8") != normal("de_AT.UTF-8")
    assert normal("C") != normal("C.UTF-8")


@pytest.mark.parametrize("name", ["", "en_US", "../etc/passwd", "en_US.UTF-8; reboot"])
def test_a_name_that_is_no_locale_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="cannot be made here"):
        make(None, name)  # type: ignore[arg-type]  # refused before the host is asked
