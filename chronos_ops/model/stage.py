"""A stage: ask, plan, apply. The next stage asks again, after this one was applied."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chronos_ops.model.plan import Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings


@dataclass(frozen=True)
class Stage:
    """Pure data: which facts are asked, and the plan that follows from their values.

    `ask(settings)` names the facts; `plan(settings, values)` gets their values by the same names.
    """

    name: str
    ask: Callable[[Settings], dict[str, Fact[Any]]]
    plan: Callable[[Settings, dict[str, Any]], Plan]
