"""What hardening needs on the host, as packages of the release itself: each with its reason."""

from typing import Any

from chronos_ops.facts import packages, postgres, system
from chronos_ops.facts.postgres import Cluster
from chronos_ops.model.plan import Change, Plan, RunCommand
from chronos_ops.model.question import Fact
from chronos_ops.model.settings import Settings
from chronos_ops.model.stage import Stage
from chronos_ops.plans.cluster import declared_cluster

_WAIT = ("-q", "-o", "DPkg::Lock::Timeout=300")
_APT = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "apt-get", *_WAIT)

# A new package is one line. lynis is not among them: it is a judge, unpacked for the time of a run.
NEEDED: dict[str, str] = {
    "ufw": "the host's firewall (H1)",
    "nftables": "fail2ban's bans are real drops (H2)",
    "fail2ban": "bans (H2)",
    "python3-systemd": "fail2ban reads the journal (H2)",
    "certbot": "certificates (H4)",
    "unattended-upgrades": "security updates by themselves (H6)",
    "needrestart": "names what still runs on old libraries after an update (H6)",
    "apt-listchanges": "shows what an update changes (H6)",
    "debsums": "tells files of packages that were changed (H7)",
    "libpam-tmpdir": "a temporary folder of its own for each session (H7)",
    "libpam-pwquality": "no weak passwords where a console asks for one (H7)",
}
LYNIS = "lynis"
PGAUDIT = "postgresql-{major}-pgaudit"


def wanted(cluster: Cluster) -> dict[str, str]:
    """Packages and their reasons, for this cluster's version."""
    return NEEDED | {PGAUDIT.format(major=cluster.version): "PostgreSQL's own audit log (H7)"}


def plan_lists(_: Settings, values: dict[str, Any]) -> Plan:
    """Fetch the package lists where there are none yet: a fresh image has none."""
    name = "hardening-package-lists"
    missing = [p for p in (*NEEDED, LYNIS) if p not in values["installed"]]
    if any(values["candidates"].get(package) for package in missing):
        return Plan(name=name, noop_reason="apt knows its packages")
    change = Change(
        id="hardening.package-lists",
        title="fetch the package lists",
        why="a fresh image has none, and without them no version is known",
        deeds=(RunCommand(argv=(*_APT, "update"), timeout_seconds=600),),
        after="apt-get update",
    )  # no undo: nothing but a cache
    return Plan(name=name, changes=(change,))


def facts(_: Settings) -> dict[str, Fact[Any]]:
    """What is installed, and what apt could install."""
    pgaudit = [PGAUDIT.format(major=major) for major in range(13, 20)]
    return {
        "release": system.OS_RELEASE,
        "clusters": postgres.CLUSTERS,
        "installed": packages.INSTALLED,
        "candidates": packages.candidates(*NEEDED, *pgaudit),
    }


def plan(settings: Settings, values: dict[str, Any]) -> Plan:
    """Install what is missing. Refused: a host without the declared cluster, another system."""
    name = "hardening-packages"
    release = values["release"]
    if release.id not in ("debian", "ubuntu"):
        return Plan(
            name=name, refusals=(f"{release.pretty_name}: only Debian and Ubuntu are known",)
        )
    cluster = declared_cluster(settings, values["clusters"])
    if cluster is None:
        return Plan(
            name=name,
            refusals=(
                (
                    f"no PostgreSQL cluster {settings.postgres.cluster!r} on this host: "
                    "pgbackrest_backup_restore installs it, run that first"
                ),
            ),
        )
    candidates: dict[str, str | None] = values["candidates"]
    reasons = wanted(cluster)
    missing = [package for package in reasons if package not in values["installed"]]
    pgaudit = PGAUDIT.format(major=cluster.version)
    if missing == [pgaudit] or any(candidates.get(p) for p in missing):  # else: lists first
        missing = [p for p in missing if p != pgaudit or candidates.get(p)]
        gone = [package for package in missing if not candidates.get(package)]
        if gone:
            return Plan(
                name=name,
                refusals=(
                    (
                        f"{', '.join(gone)}: not in the package sources of {release.pretty_name}; "
                        "enable its main (Ubuntu: universe) component"
                    ),
                ),
            )
    if not missing:
        return Plan(name=name, noop_reason=f"{len(reasons)} packages are installed")
    return Plan(name=name, changes=(_install(missing, reasons, candidates),))


def _install(
    missing: list[str], reasons: dict[str, str], candidates: dict[str, str | None]
) -> Change:
    install = (*_APT, "-y", "--no-install-recommends", "install", *missing)
    return Change(
        id="hardening.packages",
        title=f"install {', '.join(missing)}",
        why="; ".join(f"{package}: {reasons[package]}" for package in missing),
        deeds=(
            RunCommand(argv=(*_APT, "update"), timeout_seconds=600),
            RunCommand(argv=install, timeout_seconds=1800),
        ),
        undo=(RunCommand(argv=(*_APT, "-y", "remove", *missing), timeout_seconds=600),),
        after="\n".join(f"{p} {candidates.get(p) or '(known after apply)'}" for p in missing),
    )


PACKAGE_LISTS = Stage(
    "hardening-package-lists",
    lambda _: {
        "installed": packages.INSTALLED,
        "candidates": packages.candidates(*NEEDED, LYNIS),
    },
    plan_lists,
)
PACKAGES = Stage("hardening-packages", facts, plan)
