"""PostgreSQL and pgBackRest on a bare host that this run made (timed in `provision`).

The host is new and ours: dpkg may do without fsync, no cluster is made that would be removed
again, nothing starts by itself.
"""

from pathlib import Path

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.facts.packages import candidates
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
echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/chronos-new-host
{ echo "create_main_cluster = $cluster"; printf '%s\n' "$settings"; } \
    > /etc/postgresql-common/createcluster.d/chronos.conf
if [ "$cluster" = false ]; then
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt="apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Languages=none -o Dpkg::Use-Pty=0"
$apt update
$apt install --no-install-recommends "$@"
rm -f /etc/dpkg/dpkg.cfg.d/chronos-new-host
echo "major: $(ls /usr/lib/postgresql | sort -V | tail -n 1)"
"""
# The run's own primary: what would otherwise cost it a restart, and page checksums.
_NEW_CLUSTER = """initdb_options = '--data-checksums'
listen_addresses = '*'
archive_mode = on
"""


def install(
    context: Context,
    ssh: Ssh,
    settings: Settings,
    log: Path,
    *,
    with_cluster: bool,
    major: str = "",
) -> str:
    """Install on a bare host and return PostgreSQL's major version there.

    `major` empty: what the release offers. Raises CommandFailed with apt's words, Refused where
    the package source has no such version.
    """
    wanted = [f"postgresql-{major}" if major else "postgresql", "pgbackrest", "nftables"]
    if major:
        wanted += _offered(context, ssh, settings, major)
    cluster = ["true", _NEW_CLUSTER] if with_cluster else ["false", ""]
    argv = ["sh", "-c", _INSTALL, "install", *cluster, *wanted]
    try:
        said = ssh.run(argv, sudo=True, timeout=APT_SECONDS, log=log).stdout
    except CommandFailed as error:
        hint = "is the package source complete (PGDG for other versions)?"
        raise CommandFailed(
            f"installing PostgreSQL on {ssh.address.host}", error.exit_code, error.output, hint=hint
        ) from None
    return major or _release_major(context, ssh, settings, log, said)


def _release_major(context: Context, ssh: Ssh, settings: Settings, log: Path, said: str) -> str:
    """The release's own major version; packages of the extensions follow once it is known."""
    major = said.strip().rpartition("major: ")[2]
    if not major.isdigit():
        raise UnreadableAnswer("the release's PostgreSQL version is not known", said[-200:])
    more = _offered(context, ssh, settings, major)
    if more:
        ssh.run(
            ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "install",
             "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *more],
            sudo=True, timeout=APT_SECONDS, log=log,
        )  # fmt: skip
    return major


def _offered(context: Context, ssh: Ssh, settings: Settings, major: str) -> list[str]:
    packages = extension_packages(settings, int(major))
    if not packages:
        return []
    found = context.ask(candidates(*packages), ssh)
    missing = [name for name in packages if found.get(name) is None]
    if missing:
        raise Refused(
            f"{ssh.address.host} has no package source for declared extensions",
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
