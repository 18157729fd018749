"""A control of the security audit: data, judged from the effective state (H7)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chronos_ops.model.finding import Status
from chronos_ops.model.settings import Settings


@dataclass(frozen=True)
class Verdict:
    """What one control's judge says."""

    status: Status
    observed: str
    expected: str


@dataclass(frozen=True)
class Control:
    """One entry of the audit. `judge(settings, readings)` gets every reading by name.

    A reading that could not be had is absent from `readings`: the audit then says `error` for each
    control that `reads` it, without asking the judge.
    """

    id: str  # stable: "ssh.root-login"
    area: str  # "ssh", "firewall", "accounts", "sudo", "filesystem", "kernel", "logging", ...
    title: str
    reference: str  # CIS id, Debian or manual section
    reads: tuple[str, ...]
    judge: Callable[[Settings, Mapping[str, Any]], Verdict]
    mend: str  # what to do, and which stage of the runbook does it
