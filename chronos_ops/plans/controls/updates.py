"""Controls of updates and of the clock (H6)."""

from chronos_ops.model.control import Control, Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.units import runs, unit_state
from chronos_ops.plans.controls.verdicts import (
    CIS,
    Values,
    control,
    judged,
    none_of,
    not_applicable,
)

_UPDATES = "stage `updates`"


_CLOCKS = ("systemd-timesyncd.service", "chrony.service", "ntpsec.service", "ntp.service")


def _synchronised(_: Settings, values: Values) -> Verdict:
    if values["container"] != "none":
        return not_applicable("a container has its machine's clock", "synchronised")
    seen = values["time"].get("NTPSynchronized", "?")
    return judged(seen == "yes", f"NTPSynchronized={seen}", "NTPSynchronized=yes")


def _one_clock(_: Settings, values: Values) -> Verdict:
    if values["container"] != "none":
        return not_applicable("a container has its machine's clock", "one daemon")
    running = [name for name in _CLOCKS if unit_state(values, name)[1] == "active"]
    return judged(len(running) == 1, ", ".join(running) or "none", "one daemon")


def _utc(_: Settings, values: Values) -> Verdict:
    seen = values["time"].get("Timezone", "?")
    return judged(seen in ("UTC", "Etc/UTC"), seen, "UTC, as logs and timers are")


def _apt(values: Values, name: str) -> list[str]:
    config: dict[str, list[str]] = values["apt"]
    return config.get(name, [])


def _periodic(_: Settings, values: Values) -> Verdict:
    names = ("APT::Periodic::Update-Package-Lists", "APT::Periodic::Unattended-Upgrade")
    wrong = [name for name in names if (_apt(values, name) or ["0"])[-1] in ("0", "false", "")]
    return none_of([f"{name} is off" for name in wrong], "both are on")


def _security(_: Settings, values: Values) -> Verdict:
    origins = _apt(values, "Unattended-Upgrade::Origins-Pattern") + _apt(
        values, "Unattended-Upgrade::Allowed-Origins"
    )
    good = any("security" in origin.lower() for origin in origins)
    return judged(good, f"{len(origins)} origins", "the release's security updates among them")


def _held(_: Settings, values: Values) -> Verdict:
    listed = _apt(values, "Unattended-Upgrade::Package-Blacklist")
    missing = [n for n in ("postgresql", "pgbackrest") if not any(n in item for item in listed)]
    return none_of(
        [f"{name} is not held" for name in missing], "both wait for a maintenance window"
    )


def _no_surprise(settings: Settings, values: Values) -> Verdict:
    seen = (_apt(values, "Unattended-Upgrade::Automatic-Reboot") or ["false"])[-1]
    at = (_apt(values, "Unattended-Upgrade::Automatic-Reboot-Time") or ["now"])[-1]
    declared = settings.hardening.updates.reboot_at
    never = seen.lower() in ("false", "0", "no")
    wanted = f"none but at {declared}" if declared else "no reboot by itself"
    return judged(never or at == declared, seen if never else f"{seen}, at {at}", wanted)


def _signed(_: Settings, values: Values) -> Verdict:
    wrong = list(values["apt_trusted"])
    for name in (
        "Acquire::AllowInsecureRepositories",
        "APT::Get::AllowUnauthenticated",
        "Acquire::AllowWeakRepositories",
    ):
        if (_apt(values, name) or ["0"])[-1].lower() in ("1", "true", "yes"):
            wrong.append(name)
    return none_of(wrong, "every package source is signed")


def _fresh(_: Settings, values: Values) -> Verdict:
    return judged(
        bool(values["apt_lists"]),
        "younger" if values["apt_lists"] else "older, or none",
        "package lists younger than a week",
    )


def _pending(settings: Settings, values: Values) -> Verdict:
    """Security updates that unattended-upgrades would make; held ones are the stage's finding."""
    held = tuple(name.rstrip("*") for name in settings.hardening.updates.held)
    found = (line.split()[0].partition("/") for line in values["upgrades"])
    pending = [
        name for name, _, suites in found if "security" in suites and not name.startswith(held)
    ]
    return none_of(pending, "no security update is pending")


def _reboot(_: Settings, values: Values) -> Verdict:
    return none_of(values["reboot_required"], "no reboot is pending")


CONTROLS: tuple[Control, ...] = (
    control(
        "time.synchronised",
        "The clock is synchronised",
        f"{CIS} 2.3.1.1",
        "time container",
        _synchronised,
        "timedatectl set-ntp true",
    ),
    control(
        "time.one-daemon",
        "One daemon sets the clock",
        f"{CIS} 2.3.1.1",
        "units container",
        _one_clock,
        "disable all but one of them",
    ),
    control(
        "time.zone",
        "The host's zone is UTC",
        "timedatectl(1) set-timezone; requirement B6",
        "time",
        _utc,
        "timedatectl set-timezone Etc/UTC",
    ),
    control(
        "updates.automatic",
        "Updates come by themselves",
        "Debian Handbook, 6.8 Automatic Upgrades; requirement H6",
        "apt",
        _periodic,
        _UPDATES,
    ),
    control(
        "updates.timers",
        "apt's timers run",
        "apt(8) apt-daily; requirement H6",
        "units",
        runs("apt-daily-upgrade.timer"),
        "systemctl enable --now apt-daily.timer apt-daily-upgrade.timer",
    ),
    control(
        "updates.security-origin",
        "Security updates are among them",
        f"{CIS} 1.2.2.1; requirement H6",
        "apt",
        _security,
        _UPDATES,
    ),
    control(
        "updates.database-held",
        "PostgreSQL and pgBackRest wait for a window",
        "unattended-upgrades(8) Package-Blacklist; requirement H6",
        "apt",
        _held,
        _UPDATES,
    ),
    control(
        "updates.no-reboot",
        "The host does not reboot by itself",
        "unattended-upgrades(8) Automatic-Reboot; requirement H6",
        "apt",
        _no_surprise,
        _UPDATES,
    ),
    control(
        "updates.signed",
        "Every package source is signed",
        f"{CIS} 1.2.1.1, 1.2.1.2",
        "apt apt_trusted",
        _signed,
        "take trusted=yes and AllowInsecureRepositories out",
    ),
    control(
        "updates.fresh-lists",
        "The package lists are fresh",
        f"{CIS} 1.2.2.1",
        "apt_lists",
        _fresh,
        "apt-get update; is apt-daily.timer enabled?",
    ),
    control(
        "updates.none-pending",
        "No security update is pending",
        f"{CIS} 1.2.2.1",
        "upgrades",
        _pending,
        "systemctl start apt-daily.service apt-daily-upgrade.service",
    ),
    control(
        "updates.reboot-done",
        "No reboot is pending",
        "Debian Policy 9.9; update-notifier",
        "reboot_required",
        _reboot,
        "reboot in a quiet hour",
    ),
)
