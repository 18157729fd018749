"""Where a backup set's tablespaces lie, as `pgbackrest info --set` tells."""

import json
from typing import Any

import pytest

from chronos_ops.facts.backups import tablespaces
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import ShellAnswer

FACT = tablespaces("chronos", 1, "20261123-082950F")


def answer(backups: list[dict[str, Any]]) -> ShellAnswer:
    return ShellAnswer(0, json.dumps([{"name": "chronos", "backup": backups}]))


def test_the_directories_are_told() -> None:
    seen = [{"destination": "/srv/ts1", "name": "ts1", "oid": 16387}]
    assert FACT.parse(answer([{"label": "x", "tablespace": seen}])) == ("/srv/ts1",)
    assert FACT.parse(answer([{"label": "x", "tablespace": None}])) == ()


@pytest.mark.parametrize("backups", [[], [{"label": "x"}]])
def test_an_answer_without_them_is_not_none(backups: list[dict[str, Any]]) -> None:
    with pytest.raises(UnreadableAnswer):
        FACT.parse(answer(backups))
