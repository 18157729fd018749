"""Small readers that every fact shares: what an answer must look like, or it is not known."""

import json
from typing import Any

from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import ShellAnswer


def lines(answer: ShellAnswer) -> list[str]:
    """The answer's lines that say something."""
    return [line.rstrip() for line in answer.stdout.splitlines() if line.strip()]


def whole_number(answer: ShellAnswer, noun: str) -> int:
    """The answer as one number. Raises UnreadableAnswer."""
    try:
        return int(answer.stdout.strip())
    except ValueError:
        raise UnreadableAnswer(f"{noun} is not a number", answer.stdout[:80]) from None


def json_value(answer: ShellAnswer, noun: str) -> Any:
    """The answer as JSON. Raises UnreadableAnswer.

    Not strict: pgBackRest quotes what it could not decrypt, control characters included.
    """
    try:
        return json.loads(answer.stdout, strict=False)
    except ValueError:
        raise UnreadableAnswer(f"{noun} is not JSON", answer.stdout[:200]) from None
