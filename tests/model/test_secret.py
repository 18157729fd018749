"""A secret's text comes out by `reveal()` and in no other way."""

import copy
import json
import pickle
import shlex
from typing import cast

import pytest

from chronos_ops.model.secret import Secret

TEXT = "correct horse"


@pytest.mark.parametrize(
    "shown",
    [
        str(Secret(TEXT)),
        repr(Secret(TEXT)),
        f"{Secret(TEXT)}",
        f"{Secret(TEXT)!r:>40}",
        "%s" % Secret(TEXT),  # noqa: UP031 - the old way must be as tight
        str([Secret(TEXT)]),
        json.dumps({"key": Secret(TEXT)}, default=str),
    ],
)
def test_it_never_shows(shown: str) -> None:
    assert TEXT not in shown
    assert "***" in shown


def test_it_reveals() -> None:
    assert Secret(TEXT).reveal() == TEXT


def test_it_is_no_string() -> None:
    with pytest.raises(TypeError):
        shlex.quote(cast("str", Secret(TEXT)))
    with pytest.raises(TypeError):
        json.dumps(Secret(TEXT))


def test_it_is_not_serialised() -> None:
    for way in (pickle.dumps, copy.copy):
        with pytest.raises(TypeError, match="not serialisable"):
            way(Secret(TEXT))


def test_it_compares_by_its_text() -> None:
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert len({Secret(TEXT), Secret(TEXT)}) == 1


def test_it_has_no_dictionary_to_look_into() -> None:
    assert not hasattr(Secret(TEXT), "__dict__")
