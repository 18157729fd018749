"""Parameters from the command line: text to typed values, strictly, before anything starts."""

import math
import re
import types
from typing import Any, Literal, Union, get_args, get_origin

from chronos_ops.model.errors import UsageError
from chronos_ops.model.parameters import MODELS, parse_parameters
from chronos_ops.model.parameters.common import RunbookParameters

_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_OPTIONS = {"target", "approve", "plan"}
# What no parameter may carry: it would lie in plain text in the notebook and its metadata (R5).
_SECRET_LOOKS = {
    "an AWS access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "an AWS secret key": re.compile(
        r"(?<![A-Za-z0-9/+=])(?=[^\s]*[/+\d])[A-Za-z0-9/+]{40}(?![\w/+=])"
    ),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "a password in a URL": re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE),
    "a password": re.compile(r"\b(password|passwd|pwd|secret|token)\s*[=:]\s*\S", re.IGNORECASE),
    "a token": re.compile(r"\b(gh[pousr]_\w{30,}|xox[baprs]-[\w-]{10,}|eyJ[\w-]{10,}\.eyJ[\w-]+)"),
}


def parameters_from_text(
    runbook: str, target: str, overrides: dict[str, str], approve: str, *, plan: bool
) -> RunbookParameters:
    """All parameters of a run. Raises UsageError: unknown name, wrong type, a secret's look."""
    if runbook not in MODELS:
        raise UsageError("unknown runbook", repr(runbook), hint=f"known: {', '.join(MODELS)}")
    fields = MODELS[runbook].model_fields
    values: dict[str, Any] = {}
    for name, text in overrides.items():
        if name in _OPTIONS:
            raise UsageError(f"{name} is not given as a parameter", hint=f"use --{name}")
        refuse_secret(name, text)
        known = name in fields  # an unknown one is explained by the model, with the nearest name
        values[name] = _typed(name, text, fields[name].annotation) if known else text
    refuse_secret("approve", approve)
    return parse_parameters(runbook, {**values, "target": target, "approve": approve, "plan": plan})


def refuse_secret(name: str, text: str) -> None:
    """Raise UsageError, without showing the value, if it looks like a secret."""
    for kind, pattern in _SECRET_LOOKS.items():
        if pattern.search(text):
            raise UsageError(
                f"the value of {name} looks like {kind}",
                hint="parameters are kept in plain text: name a secret in the secret store instead",
            )


def _typed(name: str, text: str, annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not types.NoneType]
        if text == "" and len(options) < len(get_args(annotation)):
            return None
        annotation = options[0]
    if annotation is bool:
        if text not in ("true", "false"):
            raise UsageError(f"{name} is true or false", repr(text))
        return text == "true"
    if annotation is int:
        if not _WHOLE.fullmatch(text):
            raise UsageError(f"{name} is a whole number", repr(text), hint=_number_hint(text))
        return int(text)
    if annotation is float:
        if not _DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
            raise UsageError(f"{name} is a number", repr(text), hint=_number_hint(text))
        return float(text)
    if annotation is str or get_origin(annotation) is Literal:
        return text
    raise UsageError(f"{name} cannot be given as text", annotation)


def _number_hint(text: str) -> str:
    stripped = text.strip().lstrip("0")
    return f"write {stripped}" if stripped.isdigit() and stripped != text else ""
