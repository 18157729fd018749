"""Steady state of the target: the same before, after, and after the teardown (failures 25)."""

from dataclasses import asdict, dataclass

from chronos_ops.execution.context import Context
from chronos_ops.execution.provision import list_drill_instances
from chronos_ops.facts.postgres import CLUSTERS, IDENTITY
from chronos_ops.facts.wal_archive import ARCHIVER
from chronos_ops.model.finding import Finding, judge
from chronos_ops.plans.cluster import declared_cluster


@dataclass(frozen=True)
class SteadyState:
    """What a drill must leave as it was."""

    cluster: str
    system_identifier: str
    timeline: int
    in_recovery: bool
    data_directory: str
    archive_failures: int


def look(context: Context) -> SteadyState:
    """The declared host's cluster, asked through its own connection."""
    clusters = context.ask(CLUSTERS)
    cluster = declared_cluster(context.settings, clusters)
    identity = context.ask(IDENTITY)
    archiver = context.ask(ARCHIVER)
    shown = f"{cluster.version}/{cluster.name} {cluster.status}" if cluster else "not there"
    return SteadyState(
        cluster=shown,
        system_identifier=identity.system_identifier,
        timeline=identity.timeline,
        in_recovery=identity.in_recovery,
        data_directory=identity.data_directory,
        archive_failures=archiver.failed_count,
    )


def judge_steady(seen: SteadyState, before: SteadyState | None, when: str) -> Finding:
    """Healthy before; later: the same as before."""
    healthy = seen.cluster.endswith("online") and not seen.in_recovery
    changed = [
        f"{name}: {asdict(before)[name]} became {value}"
        for name, value in asdict(seen).items()
        if before is not None and asdict(before)[name] != value
    ]
    return judge(
        f"drill.steady-state.{when}",
        f"the target's database is in its steady state ({when})",
        passed=healthy and not changed,
        observed="; ".join(changed) or f"{seen.cluster}, timeline {seen.timeline}",
        expected="online, not in recovery" + (", as before" if before else ""),
        hint="a drill must not touch it: look at the journal for what did",
        requirement="D3",
    )


def judge_leftovers(context: Context, *, own: bool) -> Finding:
    """Instances that runs have left: old ones are reported, this run's own must be gone (D4)."""
    limit = context.settings.drill.reap_after_hours
    found = list_drill_instances(context.aws)
    if own:
        names = [i.name for i in found if i.run_id == context.run_id]
        expected = "no instance of this run"
    else:
        names = [f"{i.name} ({i.age_hours:.0f} h)" for i in found if i.age_hours > limit]
        expected = f"no instance of a run older than {limit:g} h"
    return judge(
        "drill.leftovers.own" if own else "drill.leftovers.old",
        "no instance of this run is left" if own else "no forgotten drill host runs",
        passed=not names,
        observed=", ".join(names) or "none",
        expected=expected,
        hint="`chronos reap --target NAME` removes what a run left",
        requirement="D4",
    )
