"""PostgreSQL and pgBackRest as packages: what is missing is installed."""

import re
from collections.abc import Collection
from typing import Any

from chronos_ops.facts import packages, postgres, system
from chronos_ops.facts.postgres import Cluster
from chronos_ops.model.plan import Change, Plan, RunCommand
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.cluster import declared_cluster

MAJORS = range(13, 20)
# Extensions that come as packages of their own; the others are in postgresql-N itself.
_PACKAGE_OF = {
    "vector": "postgresql-{major}-pgvector",
    "postgis": "postgresql-{major}-postgis-3",
    "timescaledb": "postgresql-{major}-timescaledb",
    "age": "postgresql-{major}-age",
    "pgaudit": "postgresql-{major}-pgaudit",
}
# Preloaded by the runbook `security_hardening` (H7), declared or not.
_OURS = ("pgaudit",)
_WAIT = ("-q", "-o", "DPkg::Lock::Timeout=300")
_APT = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "apt-get", *_WAIT)


def extension_packages(
    settings: Settings, major: int, preloaded: Collection[str] = ()
) -> list[str]:
    """Packages of the declared extensions for one PostgreSQL major version.

    `preloaded`: libraries of a source; what hardening has put among them is not to be declared.
    """
    wanted = [*settings.postgres.extensions, *(name for name in _OURS if name in preloaded)]
    found = (_PACKAGE_OF.get(extension) for extension in dict.fromkeys(wanted))
    return [name.format(major=major) for name in found if name is not None]


def list_facts(_: Settings) -> dict[str, Fact[Any]]:
    """Whether apt knows any package at all, and whether any is needed."""
    return {
        "installed": packages.INSTALLED,
        "clusters": postgres.CLUSTERS,
        "candidates": packages.candidates("postgresql", "pgbackrest"),
    }


def plan_lists(settings: Settings, values: dict[str, Any]) -> Plan:
    """Fetch the package lists where there are none yet: a fresh image has none."""
    name = "package-lists"
    there = declared_cluster(settings, values["clusters"]) and "pgbackrest" in values["installed"]
    if there or any(values["candidates"].values()):
        return Plan(name=name, noop_reason="apt knows its packages, or none is needed")
    change = Change(
        id="packages.lists",
        title="fetch the package lists",
        why="a fresh image has none, and without them no version is known",
        deeds=(RunCommand(argv=(*_APT, "update"), timeout_seconds=600),),
        after="apt-get update",
    )  # no undo: nothing but a cache
    return Plan(name=name, changes=(change,))


def facts(settings: Settings) -> dict[str, Fact[Any]]:
    """What is installed, and what apt could install."""
    names = ["postgresql", "pgbackrest"]
    for major in MAJORS:
        names += [f"postgresql-{major}", *extension_packages(settings, major)]
    return {
        "release": system.OS_RELEASE,
        "in_container": system.POSTGRES_IN_CONTAINER,
        "clusters": postgres.CLUSTERS,
        "installed": packages.INSTALLED,
        "candidates": packages.candidates(*names),
    }


def _major(settings: Settings, values: dict[str, Any]) -> int | None:
    clusters: list[Cluster] = values["clusters"]
    cluster = declared_cluster(settings, clusters)
    if cluster is not None:
        return int(cluster.version)
    have = [m for m in MAJORS if f"postgresql-{m}" in values["installed"]]
    if have:
        return max(have)
    match = re.match(r"(\d+)", values["candidates"].get("postgresql") or "")
    return int(match[1]) if match else None


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Install what is missing."""
    name = "packages"
    release = values["release"]
    if release.id not in ("debian", "ubuntu"):
        return Plan(
            name=name, refusals=(f"{release.pretty_name}: only Debian and Ubuntu are known",)
        )
    if values["in_container"] and declared_cluster(settings, values["clusters"]) is None:
        return Plan(
            name=name,
            refusals=(
                (
                    "PostgreSQL runs in a container here: its files and WAL are not this host's. "
                    "Move it to a package installation (pg_dump, restore), or back it up from there"
                ),
            ),
        )
    wanted_major = _major(settings, values)
    wanted = ["pgbackrest"]
    if wanted_major is None:
        wanted.insert(0, "postgresql")  # the lists of apt are empty: known after apply
    else:
        server = f"postgresql-{wanted_major}"
        wanted = [server, *wanted, *extension_packages(settings, wanted_major)]
    missing = [package for package in wanted if package not in values["installed"]]
    if not missing:
        return Plan(name=name, noop_reason=f"{', '.join(wanted)} are installed")
    return Plan(
        name=name,
        changes=(_install(missing, values["candidates"]),),
        refusals=_unobtainable(missing, values["candidates"], release.pretty_name),
    )


def _unobtainable(
    missing: list[str], candidates: dict[str, str | None], release: str
) -> tuple[str, ...]:
    if not any(candidates.values()):
        return ()  # no lists yet: `apt-get update` is part of the change
    gone = [package for package in missing if candidates.get(package) is None]
    if not gone:
        return ()
    return (
        (
            f"{', '.join(gone)}: not in the package sources of {release}; add the PostgreSQL "
            "project's own (apt.postgresql.org), or take the extension out of postgres.extensions"
        ),
    )


def _install(missing: list[str], candidates: dict[str, str | None]) -> Change:
    install = RunCommand(
        argv=(*_APT, "-y", "--no-install-recommends", "install", *missing),
        timeout_seconds=1800,
    )
    return Change(
        id="packages.install",
        title=f"install {', '.join(missing)}",
        why="the backup tool and the server it serves, from the release's own sources (P3)",
        deeds=(RunCommand(argv=(*_APT, "update"), timeout_seconds=600), install),
        undo=(RunCommand(argv=(*_APT, "-y", "remove", *missing), timeout_seconds=600),),
        after="\n".join(f"{p} {candidates.get(p) or '(known after apply)'}" for p in missing),
    )


PACKAGE_LISTS = Stage("package-lists", list_facts, plan_lists)
PACKAGES = Stage("packages", facts, plan)
