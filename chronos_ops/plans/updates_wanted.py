"""What apt shall do by itself: options, origins, what is held; and what is amiss of it (H6)."""

import fnmatch
import re
from collections.abc import Iterable

from chronos_ops.facts.apt_policy import AptConfig
from chronos_ops.facts.system import OsRelease
from chronos_ops.facts.updates import Source
from chronos_ops.model.settings import Settings
from chronos_ops.plans.templating import render

CONFIG_PATH = "/etc/apt/apt.conf.d/zz-chronos-updates.conf"
PATTERNS = "Unattended-Upgrade::Origins-Pattern"
ALLOWED = "Unattended-Upgrade::Allowed-Origins"
HELD = "Unattended-Upgrade::Package-Blacklist"
ONLY = "Unattended-Upgrade::Package-Whitelist"
DAYS = "Unattended-Upgrade::Update-Days"
REBOOT = "Unattended-Upgrade::Automatic-Reboot"
REBOOT_AT = "Unattended-Upgrade::Automatic-Reboot-Time"
ON_SHUTDOWN = "Unattended-Upgrade::InstallOnShutdown"
_DAILY = ("1", "1d", "always")
_NO = ("", "0", "no", "false", "without", "off", "disable")

# The distributions' own words for their security updates (50unattended-upgrades of each).
_DEBIAN = (
    "origin=Debian,codename=${distro_codename},label=Debian-Security",
    "origin=Debian,codename=${distro_codename}-security,label=Debian-Security",
)
# The release's own pocket holds no updates, only what a security update may newly depend on.
_UBUNTU = (
    "${distro_id}:${distro_codename}",
    "${distro_id}:${distro_codename}-security",
    "${distro_id}ESMApps:${distro_codename}-apps-security",
    "${distro_id}ESM:${distro_codename}-infra-security",
)
_KEYS = {
    "o": "origin",
    "l": "label",
    "a": "suite",
    "archive": "suite",
    "n": "codename",
    "c": "component",
}


def origins(release: OsRelease) -> tuple[str, tuple[str, ...]]:
    """The option that names them, and the release's security updates."""
    return (ALLOWED, _UBUNTU) if release.id == "ubuntu" else (PATTERNS, _DEBIAN)


def held_regex(pattern: str) -> str:
    """A pattern of package names as unattended-upgrades wants it: from the start, `$` ends it."""
    found = "".join(
        {"*": ".*", "?": "."}.get(c, f"\\{c}" if c in ".+()[]{}^$|\\" else c) for c in pattern
    )
    return found.removesuffix(".*") if found.endswith(".*") else f"{found}$"


def config_text(settings: Settings, release: OsRelease) -> str:
    """Our drop-in."""
    option, found = origins(release)
    updates = settings.hardening.updates
    return render(
        "apt-updates.conf.j2",
        origins_option=option.rpartition("::")[2],
        origins=found,
        held=[held_regex(pattern) for pattern in updates.held],
        reboot_at=updates.reboot_at,
    )


def amiss(settings: Settings, config: AptConfig, release: OsRelease) -> dict[str, str]:
    """Options that are not in effect as wanted, each with what is wrong."""
    wrong: dict[str, str] = {}
    for name, unset in (
        ("APT::Periodic::Enable", "1"),
        ("APT::Periodic::Update-Package-Lists", "0"),
        ("APT::Periodic::Unattended-Upgrade", "0"),
    ):
        if (value := config.one(name) or unset) not in _DAILY:
            wrong[name] = f"{name} is {value!r}: not every day"
    option, wanted = origins(release)
    if gone := [o for o in wanted if o not in config.all(option)]:
        wrong[option] = f"{option} lacks {', '.join(gone)}"
    patterns = (held_regex(pattern) for pattern in settings.hardening.updates.held)
    if free := [p for p in patterns if p not in config.all(HELD)]:
        wrong[HELD] = f"{HELD} lacks {', '.join(free)}"
    for name, what in ((ONLY, "only these are updated"), (DAYS, "only on these days")):
        if some := [value for value in config.all(name) if value]:
            wrong[name] = f"{name} {', '.join(some)}: {what}"
    if config.one(ON_SHUTDOWN).lower() not in _NO:
        wrong[ON_SHUTDOWN] = f"{ON_SHUTDOWN}: a server hardly ever shuts down"
    reboots = config.one(REBOOT).lower() not in _NO
    at = settings.hardening.updates.reboot_at
    if reboots != (at is not None):
        said = f"at {at}" if at else "never by itself"
        wrong[REBOOT] = f"{REBOOT} is {config.one(REBOOT)!r}, declared: {said}"
    elif at and config.one(REBOOT_AT) != at:
        wrong[REBOOT_AT] = f"{REBOOT_AT} is {config.one(REBOOT_AT)!r}, declared: {at}"
    return wrong


def overriding(config: AptConfig, options: Iterable[str]) -> list[str]:
    """Lines that apt reads after our drop-in and that speak of these options."""
    files = list(dict.fromkeys(line.file for line in config.lines))
    if CONFIG_PATH in files:
        later = files[files.index(CONFIG_PATH) + 1 :]
    else:  # apt.conf is read last, whatever its name
        later = [f for f in files if f > CONFIG_PATH or f == "/etc/apt/apt.conf"]
    leaves = "|".join(sorted({re.escape(option.rpartition("::")[2]) for option in options}))
    if not leaves:
        return []
    word = re.compile(rf"(?<![\w-])({leaves})(?![\w-])")
    return [
        f"{line.file}:{line.number} {line.text.strip()}"
        for line in config.lines
        if line.file in later
        and not line.text.lstrip().startswith(("//", "# "))
        and word.search(line.text)
    ]


def is_security(source: Source) -> bool:
    """Whether a source is its distribution's own for security updates."""
    return source.label == "Debian-Security" or source.suite.endswith("-security")


def is_allowed(source: Source, config: AptConfig, release: OsRelease) -> bool:
    """Whether unattended-upgrades takes updates from it, by the configuration in effect."""
    patterns = [*config.all(PATTERNS)]
    for text in config.all(ALLOWED):
        origin, separator, suite = text.partition(":")
        if separator:
            patterns.append(f"o={origin},a={suite}")
    return any(_fits(source, pattern, release) for pattern in patterns if pattern)


def _fits(source: Source, pattern: str, release: OsRelease) -> bool:
    text = pattern.replace("${distro_id}", release.id.capitalize())
    text = text.replace("${distro_codename}", release.codename)
    for token in re.split(r"(?<!\\),", text):
        key, _, value = (part.strip() for part in token.partition("="))
        seen = getattr(source, _KEYS.get(key, key), None)
        if seen is None or not fnmatch.fnmatchcase(seen, value.replace("\\,", ",")):
            return False
    return True
