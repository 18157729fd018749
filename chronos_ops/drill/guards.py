"""Guards (D3, D4): what is struck or restored over was made by this run, and is not alive.

No approval overrides them. Each raises Refused before anything is touched.
"""

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import Provisioned
from chronos_ops.execution.rollback import pending_resources
from chronos_ops.facts import lightsail
from chronos_ops.model.errors import Refused, Rule

OWN = Rule(
    "drill.host.own",
    "the host was made by this run: tag, journal, address and machine id agree",
    "all of them",
    "D3",
)
NO_CLUSTER = Rule(
    "drill.host.no-cluster",
    "nothing lives where a restore would write",
    "no data directory, or an empty one",
    "D4",
)
_ANOTHER = "nothing was touched: begin a new run, whose hosts are its own"

_DATA_DIRECTORY = r"""
d=$1; b=$2
[ -e "$d" ] || { echo absent; exit 0; }
[ -n "$(ls -A "$d")" ] || { echo empty; exit 0; }
for p in $(pgrep -x postgres); do
    if [ "$(readlink "/proc/$p/cwd")" = "$(readlink -f "$d")" ]; then echo running; exit 0; fi
done
id=$("$b/pg_controldata" -D "$d" 2>/dev/null | sed -n 's/^Database system identifier: *//p')
echo "holds ${id:-unknown}"
"""


def require_own_host(context: Context, host: Provisioned) -> None:
    """`host` was made by this run: tag, journal and machine id agree. All three, or Refused."""
    seen = context.ask(lightsail.instance(host.name))
    if seen is None:
        raise Refused("no such instance", host.name, hint=_ANOTHER, breaks=OWN)
    if not context.run_id or seen.run_id != context.run_id:
        raise Refused(
            f"the instance {host.name} was not made by this run",
            f"its tag names run {seen.run_id or '(none)'}, this is {context.run_id}",
            hint=_ANOTHER,
            breaks=OWN,
        )
    if f"lightsail:instance/{host.name}" not in dict(pending_resources(context.folder)):
        raise Refused(
            "this run's journal knows no such instance", host.name, hint=_ANOTHER, breaks=OWN
        )
    if seen.address != host.address:
        raise Refused(
            f"{host.name} has another address now",
            f"{seen.address}, was {host.address}",
            hint=_ANOTHER,
            breaks=OWN,
        )
    there = machine_id(context.host(host.ssh_address()))
    if not host.machine_id or there != host.machine_id:
        raise Refused(
            f"{host.address} is not the machine that this run made",
            f"machine id {there}",
            hint=_ANOTHER,
            breaks=OWN,
        )
    if context.parameters.reaches_target and there == machine_id(context.ssh):
        raise Refused(
            f"{host.name} has the machine id of the declared host",
            there,
            hint=_ANOTHER,
            breaks=OWN,
        )


def machine_id(ssh: Ssh) -> str:
    """/etc/machine-id of a host."""
    return ssh.run(["cat", "/etc/machine-id"]).stdout.strip()


def require_no_cluster(ssh: Ssh, data_directory: str, bin_dir: str, system_id: str) -> None:
    """Nothing lives where a restore would write (failures 13).

    Refused: a running server, the same system identifier, or files that are not ours to replace.
    """
    argv = ["sh", "-c", _DATA_DIRECTORY, "look", data_directory, bin_dir]
    seen = ssh.run(argv, sudo=True).stdout.strip()
    if seen in ("absent", "empty"):
        return
    where = f"{ssh.address.host}:{data_directory}"
    if seen == "running":
        raise Refused(
            f"a PostgreSQL server runs at {where}",
            hint="a restore never goes over a live cluster: use a host without data",
            breaks=NO_CLUSTER,
        )
    if system_id and seen == f"holds {system_id}":
        raise Refused(
            f"{where} holds the very cluster that would be restored",
            f"system identifier {system_id}",
            hint="a restore never goes over it; use another host",
            breaks=NO_CLUSTER,
        )
    raise Refused(f"{where} is not empty", seen, hint="use a host without data", breaks=NO_CLUSTER)
