"""Do security updates come by themselves, and how long has the database's been waiting? Pure (H6).

An archive does not tell since when an update is there: a Release file's date is that of its last
making, and changelogs lie on other servers. So the host remembers the day on which it first saw it
(after each run of apt-daily-upgrade.service); a version that another replaced meanwhile counts too.
"""

import datetime
from collections.abc import Mapping
from typing import Any

from chronos_ops.facts.apt_policy import AptConfig
from chronos_ops.facts.needrestart import Needrestart
from chronos_ops.facts.system import OsRelease
from chronos_ops.facts.systemd import Unit
from chronos_ops.facts.updates import POSTGRES_ARCHIVE, Pending, Updates
from chronos_ops.model.finding import Finding, Status, judge
from chronos_ops.model.settings import Settings
from chronos_ops.plans.updates import SERVICES, TIMERS, dead, held_by
from chronos_ops.plans.updates_wanted import HELD, amiss, is_allowed, is_security, overriding

_STAGE = "run the stage `updates`"
_LATE = datetime.timedelta(hours=48)  # a day, the timers' twelve random hours, and some


def judge_updates(settings: Settings, values: Mapping[str, Any]) -> list[Finding]:
    """Every finding, from the facts of the stage `updates`."""
    updates: Updates = values["updates"]
    config, release = values["config"], values["release"]
    return [
        judge_configuration(settings, config, release),
        judge_source(updates, config, release),
        judge_timers(values["units"]),
        judge_last_run(updates, values["units"]),
        judge_held(updates, config),
        judge_pending(settings, updates),
        judge_kept_back(settings, updates),
        judge_left(updates),
        judge_other_holds(updates),
        judge_needrestart(values["needrestart"]),
    ]


def judge_configuration(settings: Settings, config: AptConfig, release: OsRelease) -> Finding:
    """What apt and unattended-upgrades have in effect, whoever wrote it."""
    wrong = amiss(settings, config, release)
    who = overriding(config, wrong)
    return judge(
        "updates.configuration",
        "Security updates are taken every day",
        passed=not wrong,
        observed="; ".join((*wrong.values(), *who))[:600] or "as declared",
        expected="lists and upgrades daily, the release's security updates, no reboot undeclared",
        hint=f"take it out of {who[0].partition(' ')[0]}" if who else _STAGE,
        requirement="H6",
    )


def judge_source(updates: Updates, config: AptConfig, release: OsRelease) -> Finding:
    """A source of security updates is there, allowed, and its lists are not over their time."""
    found = [source for source in updates.sources if is_security(source)]
    taken = [source for source in found if is_allowed(source, config, release)]
    shown = ", ".join(sorted({f"{s.label} {s.codename}" for s in taken}))
    stale = f"; over their time: {', '.join(updates.expired)}" if updates.expired else ""
    return judge(
        "updates.source",
        "The release's security updates are among apt's sources",
        passed=(bool(taken) and not updates.expired) if updates.sources else None,
        observed=(shown or f"{len(found)} sources of security updates, none is taken") + stale
        if updates.sources
        else "no package lists on this host",
        expected="a security source that unattended-upgrades takes updates from, with fresh lists",
        hint="/etc/apt/sources.list.d: the release's -security suite; then apt-get update",
        requirement="H6",
    )


def judge_timers(found: Mapping[str, Unit]) -> Finding:
    """apt's timers will come, and may start what they start."""
    wrong = dead(dict(found))
    return judge(
        "updates.timers",
        "apt's timers are waiting for their next moment",
        passed=not wrong,
        observed="; ".join(wrong) or ", ".join(f"{n} {found[n].following}" for n in TIMERS),
        expected="enabled, active, with a next moment",
        hint=f"systemctl enable --now {' '.join(TIMERS)} (the stage `updates` does it)",
        requirement="H6",
    )


def judge_last_run(updates: Updates, found: Mapping[str, Unit]) -> Finding:
    """apt's own stamps of success: its unit ends with success also if the upgrade failed."""
    title = "Updates really came of late"
    expected = "lists and upgrades: a success within 48 h"
    broken = [name for name in SERVICES if found[name].result not in ("success", "")]
    moments = {"lists": updates.lists_fetched, "upgrades": updates.upgraded}
    late = [n for n, moment in moments.items() if not moment or updates.now - moment > _LATE]
    said = [f"{name} {_ago(moment, updates.now)}" for name, moment in moments.items()]
    said += [f"{name}: {found[name].result}" for name in broken]
    first = updates.configured is not None and updates.now - updates.configured <= _LATE
    armed = all(found[name].is_armed for name in TIMERS)
    if late and first and armed and not broken:
        return Finding(  # no object yet: it is due, and after 48 h it is held against the host
            id="updates.last-run",
            status=Status.NOT_APPLICABLE,
            title=title,
            observed=f"{', '.join(said)}; configured {_ago(updates.configured, updates.now)}, "
            f"next run {found[TIMERS[1]].following}",
            expected=expected,
            requirement="H6",
        )
    return judge(
        "updates.last-run",
        title,
        passed=not late and not broken,
        observed=", ".join(said),
        expected=expected,
        hint="/var/log/unattended-upgrades/; journalctl -u apt-daily-upgrade.service",
        requirement="H6",
    )


def _ago(moment: datetime.datetime | None, now: datetime.datetime) -> str:
    if moment is None:
        return "never"
    hours = (now - moment).total_seconds() / 3600
    return f"{hours:.1f} h ago" if hours < 48 else f"{hours / 24:.0f} days ago"


def judge_held(updates: Updates, config: AptConfig) -> Finding:
    """Each installed package that is declared held is matched by the list in effect."""
    free = [name for name in updates.held if not held_by(config.all(HELD), name)]
    return judge(
        "updates.held",
        "PostgreSQL and pgBackRest wait for a maintenance window",
        passed=(not free and bool(updates.held)) if updates.installed else None,
        observed=(f"not held: {', '.join(free)}" if free else f"{len(updates.held)} packages held")
        if updates.installed
        else "unattended-upgrades is not installed",
        expected="every installed package that `hardening.updates.held` names",
        hint=_STAGE,
        requirement="H6",
    )


def judge_pending(settings: Settings, updates: Updates) -> Finding:
    """What is held must not wait for ever."""
    return _judge_waiting(
        settings,
        updates,
        [p for p in updates.pending if not p.behind],
        identifier="updates.held-pending",
        title="No security update of a held package waits for too long",
    )


def judge_kept_back(settings: Settings, updates: Updates) -> Finding:
    """Nor what is not held itself, but cannot come without what is."""
    return _judge_waiting(
        settings,
        updates,
        [p for p in updates.pending if p.behind],
        identifier="updates.kept-back",
        title="No other security update waits for too long behind a held package",
    )


def _judge_waiting(
    settings: Settings, updates: Updates, waiting: list[Pending], *, identifier: str, title: str
) -> Finding:
    limit = datetime.timedelta(days=settings.hardening.updates.max_pending_days)
    old = [p for p in waiting if updates.now - p.since > limit]
    shown = "; ".join(_waits(p, updates.now) for p in old or waiting)
    known = updates.installed and bool(updates.sources)
    # what keeps a package back comes with it (an archive is no package)
    names = dict.fromkeys(
        name for p in old for name in (p.package, *p.behind) if name != POSTGRES_ARCHIVE
    )
    return judge(
        identifier,
        title,
        passed=not old if known else None,
        observed=(shown[:600] or "none waits") if known else "no package lists on this host",
        expected=f"none seen for more than {settings.hardening.updates.max_pending_days} days",
        hint="in a maintenance window: apt-get install --only-upgrade "
        + " ".join(list(names)[:12]),
        requirement="H6",
    )


def _waits(found: Pending, now: datetime.datetime) -> str:
    since = f"first seen {_ago(found.since, now)}" if found.remembered else "first seen now"
    by = f" (behind {', '.join(found.behind)})" if found.behind else ""
    return f"{found.package} {found.installed} -> {found.waiting[-1]}{by}, {since}"


def judge_left(updates: Updates) -> Finding:
    """What no hold explains: a changed configuration file, a pin, a download that fails."""
    return judge(
        "updates.left",
        "Unattended-upgrades leaves no security update behind that it may take",
        passed=not updates.left if updates.installed else None,
        observed=", ".join(updates.left) or "none" if updates.installed else "not known",
        expected="none after a run with success",
        hint="/var/log/unattended-upgrades/unattended-upgrades.log says why; by hand: apt-get "
        f"install --only-upgrade {' '.join(updates.left[:8])}",
        requirement="H6",
    )


def judge_other_holds(updates: Updates) -> Finding:
    """A package that somebody put on hold gets no security update, and nobody is told."""
    other = [name for name in updates.holds if name not in updates.held]
    return judge(
        "updates.other-holds",
        "No other package is kept from its updates",
        passed=not other if updates.installed else None,
        observed=", ".join(other) or "none" if updates.installed else "not known",
        expected="`apt-mark showhold` names none but the declared",
        hint=f"apt-mark unhold {' '.join(other)}; or declare them in hardening.updates.held",
        requirement="H6",
    )


def judge_needrestart(found: Needrestart) -> Finding:
    """After an update needrestart leaves the database and its backups alone."""
    may = [unit for unit, restarted in found.restarts.items() if restarted]
    readable = found.installed and not found.error
    seen = found.error or ", ".join(may) or f"{len(found.restarts)} services left alone"
    return judge(
        "updates.needrestart",
        "needrestart does not restart PostgreSQL",
        passed=not may if readable or not found.installed else None,
        observed=seen if found.installed else "needrestart is not installed",
        expected="PostgreSQL and backups are named, never restarted",
        hint=_STAGE,
        requirement="H6",
    )
