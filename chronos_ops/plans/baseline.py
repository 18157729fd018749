"""The baseline: what no other stage of the hardening mends on the host itself (H7).

Kernel, accounts, files, journal. Asks with the audit's own readings, so that what is judged is
what is mended; every undo puts back what was there.
"""

from typing import Any

from chronos_ops.facts import files
from chronos_ops.facts.audit import Reading, Readings, batch
from chronos_ops.facts.audit_host import readings
from chronos_ops.model.plan import Plan
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans import baseline_accounts, baseline_files, baseline_kernel

NAME = "baseline"
_FILES = (*baseline_kernel.FILES, *baseline_accounts.FILES, *baseline_files.FILES)
_READ = ("sysctl", "container_engine", "modes", "homes", "mounts", "groups")
# Who has a crontab; the folder is there where cron is.
_CRONTABS = Reading(
    "crontabs",
    "! [ -d /var/spool/cron/crontabs ] || ls /var/spool/cron/crontabs",
    lambda text: text.split(),
)


def baseline_state(settings: Settings) -> Fact[Readings]:
    """The audit's readings that the plan needs, and who has a crontab."""
    needed = tuple(reading for reading in readings(settings) if reading.name in _READ)
    return batch("baseline_state", (*needed, _CRONTABS))


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """The state, and the files that the baseline keeps."""
    return {"state": baseline_state(settings), "files": files.states(*_FILES)}


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Kernel, accounts, files. Refused: a reading that the plan rests on could not be had."""
    state: Readings = values["state"]
    if state.missing:
        return Plan(
            name=NAME,
            refusals=tuple(
                f"{name} could not be read: {why}" for name, why in state.missing.items()
            ),
        )
    seen, states = state.values, values["files"]
    found = [
        *baseline_kernel.plan_kernel(seen["sysctl"], states, routes=bool(seen["container_engine"])),
        *baseline_accounts.plan_accounts(states),
        *baseline_files.plan_files(
            states,
            seen["modes"] | seen["homes"],
            seen["mounts"],
            seen["groups"],
            seen["crontabs"],
            settings.host.user,
        ),
    ]
    changes = tuple(change for change in found if change is not None)
    return Plan(
        name=NAME,
        changes=changes,
        noop_reason="" if changes else "kernel, accounts, files and journal are as they should be",
    )


BASELINE = Stage(NAME, facts, plan)
