"""PostgreSQL and pgBackRest on a host that this run made (timed in `provision`).

The host is new and ours: dpkg may do without fsync, no cluster is made that would be removed
again, nothing starts by itself. What a snapshot has brought along is not installed again.
"""

from dataclasses import dataclass
from pathlib import Path

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.facts.packages import INSTALLED, candidates
from chronos_ops.facts.postgres import CLUSTERS, Cluster
from chronos_ops.model.errors import CommandFailed, Refused, UnreadableAnswer
from chronos_ops.model.settings import Settings
from chronos_ops.plans.packages import extension_packages

APT_SECONDS = 1200.0
# What must be preloaded to be used at all. No scheduler: those never run on a drill host (D4).
PRELOADED = ("timescaledb", "pg_stat_statements", "pgaudit")

_INSTALL = r"""
set -eu
exec 2>&1
export DEBIAN_FRONTEND=noninteractive
cluster=$1; settings=$2; shift 2
mkdir -p /etc/postgresql-common/createcluster.d /etc/dpkg/dpkg.cfg.d
{ echo "create_main_cluster = $cluster"; printf '%s\n' "$settings"; } \
    > /etc/postgresql-common/createcluster.d/chronos.conf
major() { ls /usr/lib/postgresql 2>/dev/null | sort -V | tail -n 1; }
there() {
    [ "$1" = postgresql ] && [ -n "$(major)" ] && return
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}
missing=
for name; do there "$name" || missing="$missing $name"; done
if [ -z "$missing" ]; then
    if [ "$cluster" = true ]; then pg_createcluster "$(major)" main --start; fi
    echo "installed: nothing"; echo "major: $(major)"; exit 0
fi
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/chronos-new-host
if [ "$cluster" = false ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt="apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Languages=none -o Dpkg::Use-Pty=0"
$apt update
$apt install --no-install-recommends $missing
rm -f /etc/dpkg/dpkg.cfg.d/chronos-new-host
if [ "$cluster" = true ] && [ -z "$(pg_lsclusters -h)" ]; then
    pg_createcluster "$(major)" main --start
fi
echo "installed:$missing"
echo "major: $(major)"
"""
# The run's own primary: what would otherwise cost it a restart, and page checksums.
_NEW_CLUSTER = """initdb_options = '--data-checksums'
listen_addresses = '*'
archive_mode = on
"""


@dataclass(frozen=True)
class Installed:
    """PostgreSQL's major version on a host, and whether packages had to be installed for it."""

    major: str
    anything: bool


def install(
    context: Context,
    ssh: Ssh,
    settings: Settings,
    log: Path,
    *,
    with_cluster: bool,
    major: str = "",
) -> Installed:
    """Install what is missing there.

    `major` empty: what the release offers. Raises CommandFailed with apt's words, Refused where
    the package source has no such version.
    """
    wanted = [f"postgresql-{major}" if major else "postgresql", "pgbackrest", "nftables"]
    if major:
        wanted += _offered(context, ssh, extension_packages(settings, int(major)))
    cluster = ["true", _NEW_CLUSTER] if with_cluster else ["false", ""]
    argv = ["sh", "-c", _INSTALL, "install", *cluster, *wanted]
    try:
        said = ssh.run(argv, sudo=True, timeout=APT_SECONDS, log=log).stdout
    except CommandFailed as error:
        hint = "is the package source complete (PGDG for other versions)?"
        raise CommandFailed(
            f"installing PostgreSQL on {ssh.address.host}", error.exit_code, error.output, hint=hint
        ) from None
    anything = "\ninstalled: nothing\n" not in f"\n{said}"
    if major:
        return Installed(major, anything)
    major = said.strip().rpartition("major: ")[2]
    if not major.isdigit():
        raise UnreadableAnswer("the release's PostgreSQL version is not known", said[-200:])
    packages = extension_packages(settings, int(major))  # now that the version is known
    return Installed(major, install_extensions(context, ssh, packages, log) or anything)


def install_extensions(context: Context, ssh: Ssh, packages: list[str], log: Path) -> bool:
    """Install those that are missing; whether any was. Raises Refused where none offers them."""
    there = context.ask(INSTALLED, ssh) if packages else {}
    more = _offered(context, ssh, packages) if set(packages) - set(there) else []
    if more:
        ssh.run(
            ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "install",
             "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *more],
            sudo=True, timeout=APT_SECONDS, log=log,
        )  # fmt: skip
    return bool(more)


def _offered(context: Context, ssh: Ssh, packages: list[str]) -> list[str]:
    if not packages:
        return []
    found = context.ask(candidates(*packages), ssh)
    missing = [name for name in packages if found.get(name) is None]
    if missing:
        raise Refused(
            f"{ssh.address.host} has no package source for extensions",
            ", ".join(missing),
            hint="the restored database would lack them: name PGDG as package source",
        )
    return packages


def main_cluster(context: Context, ssh: Ssh) -> Cluster:
    """The one cluster of a host. Raises Refused if there is none, or several."""
    clusters = context.ask(CLUSTERS, ssh)
    if len(clusters) != 1:
        names = ", ".join(f"{c.version}/{c.name}" for c in clusters) or "none"
        raise Refused(f"one cluster expected on {ssh.address.host}", names)
    return clusters[0]
