"""Does the declared database live? Two primaries are worse than none (D9)."""

import socket
import time

from chronos_ops.execution.context import Context
from chronos_ops.facts import lightsail
from chronos_ops.facts.postgres import CLUSTERS
from chronos_ops.model.errors import ChronosError
from chronos_ops.plans.cluster import declared_cluster

_KNOCK_SECONDS = 3.0
_SPLIT_BRAIN = (
    "two primaries would take writes beside each other, and one of the two histories would be lost "
    "(split brain). Look from another network too. If it must be given up nevertheless: "
    "`-p although_alive=true`"
)


def signs_of_life(context: Context, looks: int) -> str:
    """What answers at the declared address in any of so many looks, a second apart; "": nothing.

    An open port counts, whatever is behind it: a server that hangs may go on at any moment. So
    does an instance that runs and that nothing here gets into: our own network may be down.
    """
    host, port = context.settings.host.address, context.settings.postgres.port
    inside = _online(context)
    if inside:
        return inside
    for number in range(looks):
        began = time.monotonic()
        if context.settings.postgres.connect == "tcp" and answers(host, port):
            return f"{host}:{port} accepts connections"
        if number + 1 < looks:
            time.sleep(max(0.0, began + 1.0 - time.monotonic()))
    return _running(context) if inside is None else ""


def answers(host: str, port: int) -> bool:
    """Whether somebody accepts a TCP connection there."""
    try:
        with socket.create_connection((host, port), timeout=_KNOCK_SECONDS):
            return True
    except OSError:
        return False


def _running(context: Context) -> str:
    name = context.settings.host.instance
    seen = context.ask(lightsail.instance(name))
    if seen is None or seen.state != "running":
        return ""
    return f"{name} runs, as Lightsail says, and nothing of it can be reached from here"


def _online(context: Context) -> str | None:
    """The cluster, if it is online; None: there is no way in, so nothing is known of it."""
    try:
        clusters = context.ask(CLUSTERS)
    except ChronosError:
        return None
    cluster = declared_cluster(context.settings, clusters)
    if cluster is None or not cluster.status.startswith("online"):
        return ""
    return f"{cluster.version}/{cluster.name} is {cluster.status} on {context.ssh.address.host}"


def split_brain() -> str:
    """Why a healthy database is not given up, and what says so nevertheless."""
    return _SPLIT_BRAIN
