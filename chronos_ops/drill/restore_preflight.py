"""Before anything is copied: could it be restored now, from there, to here? (B5, D4, failures 3, 5,
6, 14) Objects by one listing of the bucket; manifests, key and passphrase by the host itself.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from chronos_ops.connectors.ssh import Ssh
from chronos_ops.drill.state import Drill
from chronos_ops.drill.target import choose_backup
from chronos_ops.execution.context import Context
from chronos_ops.facts import s3, wal_archive
from chronos_ops.facts.backups import BackupSet, StanzaInfo
from chronos_ops.facts.manifest import manifests
from chronos_ops.facts.receiving_host import receiving_host
from chronos_ops.facts.repository_reads import reads
from chronos_ops.facts.source import Source, read_source
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.finding import Finding, not_known
from chronos_ops.model.outcome import Outcome
from chronos_ops.model.settings import Settings
from chronos_ops.model.wal import Lsn
from chronos_ops.plans.judge_receiver import judge_receiver
from chronos_ops.plans.judge_restore import judge_repository, judge_without_sets
from chronos_ops.plans.restore_needs import (
    Holdings,
    archived_histories,
    labels,
    needed_reads,
)


def holdings(context: Context, ssh: Ssh, settings: Settings, wanted: Holdings) -> Holdings:
    """Fill in what lies there (one listing of the bucket), and what a host sees of it: manifests,
    histories, what it can read."""
    stanza, repo, begin = settings.backup.stanza, wanted.repo, prefix(settings, wanted.repo)
    with ThreadPoolExecutor(max_workers=1) as pool:
        listing = pool.submit(context.ask, s3.objects(settings.backup.bucket, begin))
        found = wanted
        if wanted.sets:
            read = context.ask(manifests(stanza, repo, wanted.labels), ssh)
            found = replace(wanted, manifests=read)
        objects = {item.key.removeprefix(f"{begin}/"): item for item in listing.result()}
    cold = [path for path, item in objects.items() if not item.readable]
    frozen = [name for name in wanted.frozen_sets if any(f"/{name}/" in path for path in cold)]
    found = replace(found, objects=objects, frozen_sets=frozen)
    if found.sets and archived_histories(found):
        known = context.ask(wal_archive.histories(stanza, repo, found.archive_id), ssh)
        found = replace(found, histories=known)
    seen = context.ask(reads(stanza, repo, needed_reads(found)), ssh)
    return replace(found, reads=seen)


def prefix(settings: Settings, repo: int) -> str:
    """Where a repository lies in the bucket."""
    backup = settings.backup
    return (backup.prefix if repo == 1 else backup.long_term_prefix).strip("/")


# -- the backup runbook: every set that could be restored


def look_at_repository(context: Context, info: StanzaInfo, repo: int) -> tuple[Holdings, float]:
    """One of the declared host's repositories, by its own key; and the seconds that it took."""
    began = time.monotonic()
    sets, older = _to_be_judged(info, repo)
    wanted = Holdings(
        repo=repo,
        stanza=info.name,
        archive_id=info.archive_id(repo, sets[-1].database_id) or "" if sets else "",
        objects={},
        sets=sets,
        frozen_sets=older,
    )
    found = holdings(context, context.ssh, context.settings, wanted)
    return found, time.monotonic() - began


def _to_be_judged(info: StanzaInfo, repo: int) -> tuple[list[BackupSet], list[str]]:
    """repo1: every set of the current cluster. repo2: the newest, since older ones may be frozen by
    design; and the labels of those."""
    sets = info.of_repo(repo)
    sets = [item for item in sets if item.database_id == sets[-1].database_id]
    if repo == 1 or not sets:
        return sets, []
    return sets[-1:], [item.label for item in sets[:-1]]


def judge_one(context: Context, info: StanzaInfo, repo: int) -> tuple[list[Finding], str]:
    """Findings about one repository, and what was looked at."""
    try:
        found, seconds = look_at_repository(context, info, repo)
    except ChronosError as error:
        return [not_looked_at(f"repo{repo}", error)], ""
    if not found.sets:
        return judge_without_sets(found), ""
    said = (
        f"repo{repo}: {len(found.objects)} objects, {len(found.sets)} sets with "
        f"{len(found.needs)} objects, {len(found.wal[0])} WAL segments, "
        f"in {seconds:.1f} s"
    )
    return judge_repository(found), said


def not_looked_at(what: str, error: ChronosError) -> Finding:
    """A look that could not be taken fails the run, and ends nothing."""
    title = f"{what} can be looked at as a restore would see it"
    return not_known(f"restore.{what}.look", title, error, "B5")


# -- the drill: the chosen set, and the host that waits for it


def before_restore(context: Context, drill: Drill) -> Outcome:
    """Judged openly, in a phase of its own; nothing was copied yet.

    Raises UsageError where no set leads to the target (drill.target.reachable).
    """
    host = drill.host
    after = drill.part("position") if drill.has("position") else None
    assert after is None or isinstance(after, Lsn)
    chosen = choose_backup(drill.target, host.reach, after=after)
    began = time.monotonic()
    backup = host.settings.backup
    source = _source(chosen)
    wanted = Holdings(
        repo=1,
        stanza=backup.stanza,
        archive_id=f"{host.major}-{chosen.database_id}",
        objects={},
        sets=[chosen],
        target=drill.target,
    )
    if source is not None:
        wanted = replace(wanted, segment_bytes=source.number("wal_segment_size"))
    with ThreadPoolExecutor(max_workers=1) as pool:
        here = pool.submit(context.ask, receiving_host(host.major), host.ssh)
        try:
            found = holdings(context, host.ssh, host.settings, wanted)
            findings = judge_repository(found)
        except ChronosError as error:
            found, findings = wanted, [not_looked_at("repo1", error)]
        wal = len(found.wal[0])
        try:
            size = wal * found.segment_bytes
            findings += judge_receiver(here.result(), chosen, size, host.major, source)
        except ChronosError as error:
            findings.append(not_looked_at("host", error))
    seconds = time.monotonic() - began
    bad = [finding.id for finding in findings if not finding.good]
    return Outcome(
        summary=f"Set `{chosen.label}` with {len(labels([chosen])) - 1} others that it builds "
        f"upon: {len(found.needs)} objects and {wal} WAL segments, looked at among "
        f"{len(found.objects)} objects in {seconds:.1f} s. "
        + (f"**Not as it must be: {', '.join(bad)}.**" if bad else "All of it can be restored."),
        findings=findings,
        phases=[drill.clock.close("preflight")],
        measures={"restore_preflight_seconds": round(seconds, 3)},
    )


def _source(chosen: BackupSet) -> Source | None:
    """What the backup job wrote down with the set; None: nothing (an older job)."""
    return read_source(chosen.source) if chosen.source else None
