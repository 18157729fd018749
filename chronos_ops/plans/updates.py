"""Security updates by themselves; PostgreSQL and pgBackRest wait for a window (H6).

What is held is held by unattended-upgrades' own list, not by `apt-mark hold`: a pattern also covers
a package that is installed tomorrow, and the operator's own `apt-get upgrade` in the maintenance
window then needs nothing undone first (nor does a stage that installs, such as pgaudit's).
"""

import re
from typing import Any

from chronos_ops.facts.apt_policy import APT_CONFIG, AptConfig
from chronos_ops.facts.files import states
from chronos_ops.facts.needrestart import Needrestart, needrestart
from chronos_ops.facts.system import OS_RELEASE
from chronos_ops.facts.systemd import Unit, units
from chronos_ops.facts.updates import FIRST_SEEN, LOOK, Updates, updates
from chronos_ops.model.plan import Change, Deed, Plan, RemoveFile, RunCommand, WriteFile
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.managed_file import States, file_change, put_back
from chronos_ops.plans.templating import render
from chronos_ops.plans.updates_wanted import CONFIG_PATH, amiss, config_text, overriding

NAME = "updates"
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
SERVICES = ("apt-daily.service", "apt-daily-upgrade.service")
NEEDRESTART_PATH = "/etc/needrestart/conf.d/zz-chronos.conf"
# A backup is not restarted in its middle either, and pgBackRest may run as a server.
NEVER_RESTARTED = ("postgresql", "pgbackrest", "chronos-backup-")
SCRIPT = "/usr/local/lib/chronos/held-updates"
UNIT_PATH = "/etc/systemd/system/apt-daily-upgrade.service.d/chronos.conf"
# By the timer's own unit, for which today's success would be enough; it ends with success also if
# the upgrade failed, and only its stamp tells.
_UPGRADE = r"""
stamp=/var/lib/apt/periodic/upgrade-stamp
rm -f $stamp
systemctl start apt-daily-upgrade.service
[ -e $stamp ] || { tail -n 30 /var/log/unattended-upgrades/unattended-upgrades.log >&2; exit 1; }
"""
_RELOAD = RunCommand(argv=("systemctl", "daemon-reload"))


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What apt does by itself, when it did, and who would be restarted."""
    return {
        "release": OS_RELEASE,
        "config": APT_CONFIG,
        "updates": updates(settings.hardening.updates.held, CONFIG_PATH),
        "needrestart": needrestart(*(f"'{name}*'" for name in NEVER_RESTARTED)),
        "units": units(*TIMERS, *SERVICES),
        "files": states(CONFIG_PATH, NEEDRESTART_PATH, SCRIPT, UNIT_PATH),
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Our drop-in of apt, needrestart's, the memory of what waits, and the timers."""
    found: Updates = values["updates"]
    if not found.installed:
        hint = "the stage hardening-packages installs it"
        return Plan(name=NAME, refusals=(f"unattended-upgrades is not installed: {hint}",))
    release, config = values["release"], values["config"]
    wrong = amiss(settings, config, release)
    stronger = overriding(config, wrong)
    changes = [
        _configuration(settings, values, wrong),
        _needrestart(values),
        *_memory(settings, values["files"]),
        _timers(values["units"]),
        _upgrade(found),
    ]
    done = tuple(change for change in changes if change is not None)
    return Plan(
        name=NAME,
        changes=done,
        noop_reason="" if done else "security updates come every day, the database's wait",
        refusals=tuple(f"{line}: read after ours, take it out there" for line in stronger),
    )


def _configuration(
    settings: Settings, values: dict[str, Any], wrong: dict[str, str]
) -> Change | None:
    text = config_text(settings, values["release"])
    config: AptConfig = values["config"]
    change = file_change(
        "updates.configuration",
        "take the release's security updates every day, but not the database's",
        f"in effect now: {'; '.join(wrong.values()) or 'as wanted, by another text'}"[:600],
        CONFIG_PATH,
        text,
        values["files"],
        mode="0644",
        group="root",
    )
    if change is None and wrong and not overriding(config, wrong):
        return Change(  # the text is there, and apt does not do it: it shows, and fails to settle
            id="updates.configuration",
            title="write apt's drop-in once more",
            why="; ".join(wrong.values())[:600],
            deeds=(WriteFile(path=CONFIG_PATH, content=text),),
            undo=(put_back(CONFIG_PATH, values["files"]),),
        )
    return change


def needrestart_text() -> str:
    """needrestart's drop-in: harmless where it is not installed (yet)."""
    return render("needrestart.conf.j2", patterns=NEVER_RESTARTED)


def _needrestart(values: dict[str, Any]) -> Change | None:
    found: Needrestart = values["needrestart"]
    may = [unit for unit, may in found.restarts.items() if may]
    return file_change(
        "updates.needrestart",
        "keep needrestart from restarting PostgreSQL or a backup",
        f"after an update it may restart {', '.join(may) or 'none of them today'}; on Ubuntu it "
        "does so unasked",
        NEEDRESTART_PATH,
        needrestart_text(),
        values["files"],
        mode="0644",
        group="root",
    )


def script_text(settings: Settings) -> str:
    """What remembers since when held updates wait."""
    held = "[" + ", ".join(f'"{pattern}"' for pattern in settings.hardening.updates.held) + "]"
    return render("held-updates.py.j2", look=LOOK, path=FIRST_SEEN, patterns=held)


def _memory(settings: Settings, files: States) -> list[Change | None]:
    why = "an archive does not tell how long an update has been there: the day we saw it counts"
    look: tuple[Deed, ...] = (RunCommand(argv=(SCRIPT,)),)
    script = file_change(
        "updates.held-script",
        "remember since when a held security update waits",
        why,
        SCRIPT,
        script_text(settings),
        files,
        mode="0755",
        group="root",
    )
    if script is not None:
        undo = script.undo if files[SCRIPT] else (*script.undo, RemoveFile(path=FIRST_SEEN))
        script = script.model_copy(update={"deeds": script.deeds + look, "undo": undo})
    unit = file_change(
        "updates.held-unit",
        "look for them after every run of apt-daily-upgrade.service",
        why,
        UNIT_PATH,
        render("apt-daily-upgrade.conf.j2", script=SCRIPT),
        files,
        mode="0644",
        group="root",
        then=(_RELOAD,),
    )
    return [script, unit]


def dead(found: dict[str, Unit]) -> list[str]:
    """Timers that will not come, and services that would not start, each with its state."""
    wrong = [found[name] for name in TIMERS if not found[name].is_armed]
    wrong += [found[name] for name in SERVICES if found[name].load != "loaded"]
    return [f"{u.name} {u.enabled or u.load} {u.active} {u.sub}" for u in wrong]


def _timers(found: dict[str, Unit]) -> Change | None:
    wrong = dead(found)
    if not wrong:
        return None
    masked = [name for name in (*TIMERS, *SERVICES) if found[name].load == "masked"]
    deeds: list[Deed] = []
    if masked:
        deeds.append(RunCommand(argv=("systemctl", "unmask", *masked)))
    # a timer that is active and has no next moment is waiting for nothing: start it anew
    deeds += [
        RunCommand(argv=("systemctl", "enable", *TIMERS)),
        RunCommand(argv=("systemctl", "restart", *TIMERS)),
    ]
    undo: list[Deed] = []
    for name in TIMERS:
        if found[name].active != "active":
            undo.append(RunCommand(argv=("systemctl", "stop", name)))
        if found[name].enabled == "disabled":
            undo.append(RunCommand(argv=("systemctl", "disable", name)))
    if masked:
        undo.append(RunCommand(argv=("systemctl", "mask", *masked)))
    return Change(
        id="updates.timers",
        title="start apt's own timers",
        why="without them no update comes",
        deeds=tuple(deeds),
        undo=tuple(undo),
        before="\n".join(wrong),
        after="\n".join(f"{name} enabled active" for name in TIMERS),
    )


def _upgrade(found: Updates) -> Change | None:
    """Last of all: what is held and what is never restarted is in force by then."""
    if not found.open:
        return None
    return Change(
        id="updates.upgrade",
        title=f"take the {len(found.open)} security updates that are there",
        why="by unattended-upgrades itself: so it is seen to work; the database is left alone",
        deeds=(RunCommand(argv=("sh", "-c", _UPGRADE), timeout_seconds=3600),),
        after=", ".join(found.open) + "\n",
    )  # no undo: an older version with its holes is no way back


def held_by(regexes: tuple[str, ...], package: str) -> bool:
    """Whether unattended-upgrades leaves a package alone, as it decides itself."""
    return any(re.match(regex, package) for regex in regexes)


UPDATES = Stage(NAME, facts, plan)
