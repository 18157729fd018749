"""The one cluster that a target declares, among those that a host has."""

from collections.abc import Sequence

from chronos_ops.facts.postgres import Cluster
from chronos_ops.model.settings import Settings


def declared_cluster(settings: Settings, clusters: Sequence[Cluster]) -> Cluster | None:
    """The cluster of the declared name and port; None: it is not there."""
    wanted = settings.postgres
    return next((c for c in clusters if (c.name, c.port) == (wanted.cluster, wanted.port)), None)


def missing_cluster(settings: Settings, clusters: Sequence[Cluster]) -> str:
    """The refusal's text where the declared cluster is not there."""
    wanted = settings.postgres
    seen = ", ".join(f"{c.version}/{c.name} on {c.port}" for c in clusters) or "none"
    return (
        f"no cluster {wanted.cluster!r} on port {wanted.port} (here: {seen}): "
        "create it, or set postgres.cluster and postgres.port in the parameter file"
    )
