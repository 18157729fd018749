"""Every recorded answer is read as it should be. A new case is a data file."""

import json
from pathlib import Path

import pytest

from chronos_ops.facts.registry import FACTS
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import AwsQuestion, Fact, ShellQuestion
from tests.recorded_cases import RECORDED, fact_of, parse, plain

CASES = sorted(RECORDED.glob("*/*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_recorded_answer_gives_the_wanted_value(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    assert "wanted" in case, "add the wanted value by hand"
    assert plain(parse(fact_of(case["fact"]), case["answer"])) == case["wanted"]


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_fact_has_a_recorded_answer_and_its_own_name(name: str) -> None:
    fact = fact_of(name)
    assert fact.name == name
    assert list((RECORDED / name).glob("*.json")), f"./chronos record {name} --target lab"


# Any line is a process; packages and options that are not named are left out.
_LENIENT = {"postgres_in_container", "apt_candidates", "installed_packages"}
_STRICT = [
    name
    for name in sorted(set(FACTS) - _LENIENT)
    if not isinstance(fact_of(name).question, AwsQuestion)  # botocore reads those
]


@pytest.mark.parametrize("name", _STRICT)
def test_what_a_parser_does_not_know_is_not_known(name: str) -> None:
    fact: Fact[object] = fact_of(name)
    nonsense = {"exit_code": 0, "stdout": "%% nonsense: 1 %%\n", "stderr": ""}
    answer = nonsense if isinstance(fact.question, ShellQuestion) else [{"nonsense": 1}]
    with pytest.raises((UnreadableAnswer, KeyError)):
        parse(fact, answer)


def test_nothing_recorded_holds_a_key() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in CASES)
    assert "AKIA" not in text
    assert "PRIVATE KEY" not in text
    assert "SCRAM-SHA-256$4" not in text
