"""The steps of the hardening runbook, as its cells name them: `run.hardening.judges` and others.

A proof looks from outside, by tools that are not ours; a new one is a function of the context that
gives an Outcome with findings, and a line here.
"""

from chronos_ops.hardening.judges import judges, lynis_before
from chronos_ops.hardening.outside import outside_before, outside_ports

__all__ = [
    "judges",
    "lynis_before",
    "outside_before",
    "outside_ports",
]
