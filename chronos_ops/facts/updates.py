"""Updates that come by themselves: when they last came, from where, and what waits (H6)."""

import datetime
import email.utils
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chronos_ops.facts.reading import json_value
from chronos_ops.model.errors import UnreadableAnswer
from chronos_ops.model.question import Fact, ShellAnswer, ShellQuestion

FIRST_SEEN = "/var/lib/chronos-updates/held.json"  # {package: {version: seconds since 1970}}

POSTGRES_ARCHIVE = "apt.postgresql.org"

# A newer version of a held package counts if a security archive has it; or PostgreSQL's own
# archive, which does not tell security releases from others: each minor release may be one. So does
# one of a package that a hold keeps back: it needs another version of a held one, or comes from
# PostgreSQL's archive alone, which unattended-upgrades does not take from.
LOOK = r"""
import fnmatch, glob, json, os, re, sys, time


def source(place):
    return {"origin": place.origin, "label": place.label, "suite": place.archive,
            "codename": place.codename, "component": place.component}


def is_security(place):
    return (place.label == "Debian-Security" or place.origin == "apt.postgresql.org"
            or any(name.endswith("-security") for name in (place.archive, place.codename)))


def behind(newer, kept):  # what keeps a package back that is not held itself
    if all(place.origin == "apt.postgresql.org" for version in newer
           for place, _ in version.file_list if is_security(place)):
        return ["apt.postgresql.org"]
    found = set()
    for version in newer:
        for kind in ("PreDepends", "Depends"):
            for group in version.depends_list.get(kind, []):
                names = {one.target_pkg.name for one in group} & kept
                if names and not any(
                        target.parent_pkg.current_ver is not None
                        and target.id == target.parent_pkg.current_ver.id
                        for one in group for target in one.all_targets()):
                    found |= names
    return sorted(found)


def first_seen(path):
    try:
        with open(path) as file:
            told = json.load(file)
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def when(path):
    return int(os.stat(path).st_mtime) if os.path.exists(path) else None


def releases():
    for path in sorted(glob.glob("/var/lib/apt/lists/*Release")):
        with open(path, errors="replace") as file:
            head = dict(re.findall(r"^(Codename|Valid-Until): (.*)$", file.read(8192), re.M))
        yield {"file": os.path.basename(path), **head}


def look(patterns, seen):
    import apt_pkg
    apt_pkg.init()
    cache = apt_pkg.Cache(None)
    found = {"sources": [], "held": [], "holds": [], "pending": {}, "open": []}
    for place in cache.file_list:
        if not place.not_source and source(place) not in found["sources"]:
            found["sources"].append(source(place))
    installed = [package for package in cache.packages if package.current_ver is not None]

    def waits(package):
        return any(fnmatch.fnmatchcase(package.name, pattern) for pattern in patterns)

    def on_hold(package):
        return package.selected_state == apt_pkg.SELSTATE_HOLD

    kept = {package.name for package in installed if waits(package) or on_hold(package)}
    for package in installed:
        now = package.current_ver
        newer = [version for version in package.version_list
                 if apt_pkg.version_compare(version.ver_str, now.ver_str) > 0
                 and any(is_security(place) for place, _ in version.file_list)]
        if waits(package):
            found["held"].append(package.name)
        if on_hold(package):
            found["holds"].append(package.name)
        by = [] if package.name in kept else behind(newer, kept) if newer else []
        if newer and package.name not in kept and not by:
            found["open"].append(package.name)
        if not (newer and (waits(package) or by)):
            continue
        # a version that an archive replaced meanwhile has been waiting too
        former = {version: since for version, since in seen.get(package.name, {}).items()
                  if apt_pkg.version_compare(version, now.ver_str) > 0}
        found["pending"][package.name] = {
            "installed": now.ver_str, "waiting": sorted(version.ver_str for version in newer),
            "seen": former, "behind": by}
    return found
"""

_REPORT = r"""
found = {"installed": os.path.exists("/usr/bin/unattended-upgrade"), "now": int(time.time())}
if found["installed"]:
    found |= look(sys.argv[3:], first_seen(sys.argv[2]))
found["releases"] = list(releases())
found["configured"] = when(sys.argv[1])
found["changed"] = max(filter(None, map(when, ("/var/lib/apt/lists", "/var/lib/dpkg/status"))))
found["stamps"] = {os.path.basename(path): when(path)
                   for path in sorted(glob.glob("/var/lib/apt/periodic/*"))}
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Source:
    """A package source of which lists are here, as its Release file names itself."""

    origin: str
    label: str
    suite: str  # stable-security, noble-security
    codename: str  # trixie-security, noble
    component: str


@dataclass(frozen=True)
class Pending:
    """A newer version that a hold keeps back. `since`: when this host first saw that it waits."""

    package: str
    installed: str
    waiting: tuple[str, ...]
    since: datetime.datetime
    remembered: bool  # False: seen now for the first time
    behind: tuple[str, ...] = ()  # held packages that keep it back; empty: it is held itself


@dataclass(frozen=True)
class Updates:
    """unattended-upgrades on this host. Moments are UTC; None: never."""

    installed: bool
    now: datetime.datetime
    configured: datetime.datetime | None  # since when our configuration is there
    lists_fetched: datetime.datetime | None  # last success of apt-daily.service
    upgraded: datetime.datetime | None  # last success of apt-daily-upgrade.service
    sources: tuple[Source, ...] = ()
    expired: tuple[str, ...] = ()  # lists whose Valid-Until has passed: they are not renewed
    held: tuple[str, ...] = ()  # installed packages that the patterns name
    holds: tuple[str, ...] = ()  # installed packages that `apt-mark hold` was told to keep
    pending: tuple[Pending, ...] = ()
    open: tuple[str, ...] = ()  # with a security update that nothing holds back
    left: tuple[str, ...] = ()  # the same, but unattended-upgrades was there since and left them


def _moment(seconds: int | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _read(answer: ShellAnswer) -> Updates:
    told = json_value(answer, "what unattended-upgrades does")
    now = _moment(told["now"])
    if now is None:
        raise UnreadableAnswer("the host does not know what time it is", answer.stdout[:120])
    stamps = told["stamps"]
    there = tuple(sorted(told.get("open", ())))
    left = _was_there(told, stamps.get("upgrade-stamp"))
    return Updates(
        installed=told["installed"],
        now=now,
        configured=_moment(told["configured"]),
        lists_fetched=_moment(stamps.get("update-stamp")),
        upgraded=_moment(stamps.get("upgrade-stamp")),
        sources=tuple(Source(**source) for source in told.get("sources", ())),
        expired=tuple(r["file"] for r in told["releases"] if _is_over(r, now)),
        held=tuple(sorted(told.get("held", ()))),
        holds=tuple(sorted(told.get("holds", ()))),
        pending=tuple(_pending(told, now)),
        open=() if left else there,
        left=there if left else (),
    )


def _was_there(told: Mapping[str, Any], upgraded: int | None) -> bool:
    """Whether it ended with success after the last change of lists, packages and configuration."""
    moments = (told.get("changed"), told["configured"])
    return upgraded is not None and all(m is not None and m <= upgraded for m in moments)


def _is_over(release: Mapping[str, str], now: datetime.datetime) -> bool:
    text = release.get("Valid-Until")
    if not text:  # Ubuntu's have none
        return False
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        raise UnreadableAnswer("not a moment of a Release file", text) from None
    return until < now


def _pending(told: Mapping[str, Any], now: datetime.datetime) -> list[Pending]:
    found = []
    for package, versions in sorted(told.get("pending", {}).items()):
        first = _moment(min(versions["seen"].values(), default=None))
        found.append(
            Pending(
                package,
                versions["installed"],
                tuple(versions["waiting"]),
                first or now,
                first is not None,
                tuple(versions.get("behind", ())),
            )
        )
    return found


def updates(patterns: tuple[str, ...], configuration: str) -> Fact[Updates]:
    """What unattended-upgrades did, may do, and leaves alone: packages as `patterns` name them.

    `configuration` is the file since when it is configured.
    """
    argv = ("python3", "-c", LOOK + _REPORT, configuration, FIRST_SEEN, *patterns)
    return Fact("updates", ShellQuestion(argv, sudo=True), _read)
