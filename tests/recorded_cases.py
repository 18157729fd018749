"""Recorded answers of real targets (tests/recorded/<fact>/<case>.json), as parsers read them."""

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from chronos_ops.facts.registry import FACTS
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion
from chronos_ops.model.settings import Settings, parameters_dir, parse_settings

RECORDED = Path(__file__).parent / "recorded"


def example_settings(**backup: Any) -> Settings:
    """The settings of parameters/production.example.yaml, with some of `backup` changed."""
    data = yaml.safe_load((parameters_dir() / "production.example.yaml").read_text())
    data["backup"] |= backup
    return parse_settings(data)


def fact_of(name: str) -> Fact[Any]:
    """A fact by the name of its folder."""
    return FACTS[name](example_settings())


def parsed(name: str, case: str) -> Any:
    """What the parser makes of a recorded answer."""
    data = json.loads((RECORDED / name / f"{case}.json").read_text(encoding="utf-8"))
    return parse(fact_of(name), data["answer"])


def parse(fact: Fact[Any], answer: Any) -> Any:
    """A recorded answer through the fact's own parser."""
    if isinstance(fact.question, ShellQuestion):
        answer = ShellAnswer(answer["exit_code"], answer["stdout"], answer["stderr"])
    return fact.parse(answer)


def plain(value: Any) -> Any:
    """A fact's value as JSON could hold it."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset | set):
        return sorted(plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
