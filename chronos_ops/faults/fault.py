"""What a fault is: how it strikes a lab, which finding of which runbook must name it, its undo.

A new fault is one file in `catalogue/` with `FAULT = …`, named as its id.
"""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import ClassVar

from chronos_ops.faults.site import Site
from chronos_ops.model.errors import UsageError

BACKUP, DRILL = "pgbackrest_backup_restore", "disaster_recovery"
CHECK_ONLY = MappingProxyType({"check_only": "true", "pitr_test": "false"})


class Fault:
    """One way in which backups or restores really fail. Has no state: what it replaces, it keeps
    in the site."""

    id: ClassVar[str]
    number: ClassVar[int]  # in the catalogue of failures
    title: ClassVar[str]
    what: ClassVar[str]  # what it is in real life, one sentence
    runbook: ClassVar[str] = BACKUP  # the run that must detect it
    parameters: ClassVar[Mapping[str, str]] = CHECK_ONLY  # of that run
    finding: ClassVar[str]  # the dotted id that must name it
    # A step's cell id: strike when it has ended, the run's processes being stopped meanwhile.
    strike_after: ClassVar[str] = ""

    @property
    def is_looked_at_again(self) -> bool:
        """Whether the same run, after the undo, must be green: one that mends nothing itself."""
        looks = self.runbook == BACKUP and self.parameters is CHECK_ONLY
        return looks and not self.strike_after

    def asked(self, site: Site) -> Mapping[str, str]:  # noqa: ARG002 - of those that need it
        """The parameters of that run, after the strike."""
        return self.parameters

    def inject(self, site: Site) -> None:
        """Strike. Must raise if the fault did not take place."""
        raise NotImplementedError

    def undo(self, site: Site) -> None:
        """Take it back, as an operator would. Needs the same site."""
        raise NotImplementedError


def registry() -> dict[str, Fault]:
    """All faults by id, in the order of the failures' numbers."""
    package = import_module("chronos_ops.faults.catalogue")
    found: list[Fault] = []
    for module in pkgutil.iter_modules(package.__path__):
        fault: Fault = import_module(f"{package.__name__}.{module.name}").FAULT
        if fault.id != module.name:
            raise UsageError(f"catalogue/{module.name}.py names another fault", fault.id)
        found.append(fault)
    return {fault.id: fault for fault in sorted(found, key=lambda f: (f.number, f.id))}


def choose(names: list[str]) -> list[Fault]:
    """Faults by name, all where none is named. Raises UsageError with what there is."""
    known = registry()
    for name in names:
        if name not in known:
            raise UsageError("unknown fault", repr(name), hint=f"known: {', '.join(known)}")
    return [fault for fault in known.values() if not names or fault.id in names]
