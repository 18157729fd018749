"""What faults of restore and recovery share: the run that must name them, the host that it makes.

What is struck on that host is gone with it: there is nothing to undo.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.sample import DATABASE
from chronos_ops.faults.fault import DRILL, Fault
from chronos_ops.faults.site import Site

SCENARIO = "production_proof"  # the struck target's own repository, the least work
LOSS = MappingProxyType(
    {"scenario": "instance_lost", "sample_megabytes": "1", "fault_offset_seconds": "1"}
)
CLUSTER = """
v=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
bin=/usr/lib/postgresql/$v/bin; data=/var/lib/postgresql/$v/main
"""
_DAMAGE = """
pg_ctlcluster --skip-systemctl-redirect $v main stop
cd $data
for f in {paths}; do
    at=$(($(stat -c %s $f) - 4000))
    printf '\\377\\001' | dd of=$f bs=1 seek=$at conv=notrunc status=none
done
pg_ctlcluster --skip-systemctl-redirect $v main start
"""


def proof(target: str = "") -> Mapping[str, str]:
    """Parameters of a production proof, to a recovery target."""
    asked = {"recovery_target": target} if target else {}
    return MappingProxyType({"scenario": SCENARIO, **asked})


class TargetFault(Fault):
    """A recovery target that nobody can mean. The mistake stands in the parameters: nothing on
    the target is struck."""

    number = 11
    runbook = DRILL
    finding = "drill.target.reachable"

    def inject(self, site: Site) -> None:
        pass

    def undo(self, site: Site) -> None:
        pass


class SourceFault(Fault):
    """What is wrong at the source, and comes back with the restore: SQL of database postgres."""

    number = 15
    runbook = DRILL
    parameters = proof()
    broken_by: ClassVar[str]
    mended_by: ClassVar[str]

    def inject(self, site: Site) -> None:
        site.sql(self.broken_by)

    def undo(self, site: Site) -> None:
        site.sql(self.mended_by)


class RestoredHostFault(Fault):
    """What happens on the drill host, in the middle of the run that made it."""

    runbook = DRILL
    parameters = proof()

    def strike(self, host: Ssh) -> None:
        """Strike the drill host. Raises CommandFailed if the fault did not take place."""
        raise NotImplementedError

    def inject(self, site: Site) -> None:
        with site.host("restored") as host:
            self.strike(host)

    def undo(self, site: Site) -> None:
        pass


def as_root(host: Ssh, script: str) -> None:
    """Run a script there; `$bin` and `$data` are PostgreSQL's. Raises CommandFailed."""
    host.run(["sh", "-ec", CLUSTER + script], sudo=True)


def set_in_copy(host: Ssh, name: str, value: str) -> None:
    """A setting of the restored cluster, before it is started: the last line wins."""
    as_root(host, f"test -d $data/base; echo \"{name} = '{value}'\" >> $data/postgresql.auto.conf")


def damage(host: Ssh, relation: str, database: str = DATABASE) -> None:
    """Two bytes in the middle of a relation's last page, on the disk."""
    path = host.sql(f"SELECT pg_relation_filepath('{relation}')", database).stdout.strip()
    damage_files(host, path)


def damage_files(host: Ssh, *paths: str) -> None:
    """The same to files below the data directory. The server is stopped meanwhile: it would write
    the pages from its memory again."""
    as_root(host, _DAMAGE.format(paths=" ".join(paths)))
