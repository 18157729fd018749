"""The backup runbook's look ahead: could what is kept be restored now, on a new host? (B5)"""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from chronos_ops.drill.restore_preflight import judge_one, not_looked_at
from chronos_ops.execution.context import Context
from chronos_ops.facts import backups, lightsail
from chronos_ops.facts.lightsail import Bundle
from chronos_ops.facts.owners import Owners, owners
from chronos_ops.facts.packages import candidates
from chronos_ops.facts.receiving_host import ReceivingHost
from chronos_ops.facts.source import Source, read_source, source_text
from chronos_ops.facts.system import OS_RELEASE
from chronos_ops.model.errors import ChronosError, UnreadableAnswer
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.outcome import Outcome
from chronos_ops.plans import judge_receiver as receiver
from chronos_ops.plans.judge_backup import repositories
from chronos_ops.plans.packages import extension_packages

_SYSTEM_BYTES = 4 * 2**30  # what a release with PostgreSQL takes of a new host's disk
_HERE = (
    ("libraries", "libraries that functions are in"),
    ("locales", "locales"),
    ("collations", "collation versions"),
)


def restore_preflight(context: Context) -> Outcome:
    """Every set of repo1 and the newest of repo2; then the host that would be made for them."""
    began = time.monotonic()
    settings = context.settings
    info = context.ask(backups.info(settings.backup.stanza))
    if info is None:
        raise UnreadableAnswer("pgbackrest info says nothing", hint="is pgBackRest installed?")
    findings: list[Finding] = []
    looked = []
    context.say("looking at the repositories as a restore would")
    with ThreadPoolExecutor(max_workers=2) as pool:
        for found, said in pool.map(partial(judge_one, context, info), repositories(settings)):
            findings += found
            looked += [said] if said else []
    sets = info.of_repo(1)
    if sets:
        try:
            findings += _new_host(context, sets[-1])
        except ChronosError as error:
            findings.append(not_looked_at("host", error))
    seconds = time.monotonic() - began
    good = sum(finding.good for finding in findings)
    return Outcome(
        summary=f"{good} of {len(findings)} checks passed in {seconds:.1f} s. "
        + "; ".join(looked)
        + ".",
        findings=findings,
        measures={"restore_preflight_seconds": round(seconds, 3)},
    )


restore_preflight.probe = True  # type: ignore[attr-defined] # reads only


def _new_host(context: Context, newest: backups.BackupSet) -> list[Finding]:
    """There is none yet: judged by what the declared bundle and package source would give it."""
    settings = context.settings
    source = read_source(context.ask(source_text(settings.postgres.port)))
    bundle = context.ask(lightsail.bundles()).get(settings.drill.bundle_id)
    findings = [_annotated(newest), *_bundle(settings.drill.bundle_id, bundle, newest, source)]
    major = source.number("server_version_num") // 10000
    release = context.ask(OS_RELEASE)
    image = f"{release.id}_{release.version_id}"
    why = ""
    if settings.drill.from_snapshot:
        why = f"a new host is made from the snapshot {settings.drill.from_snapshot}"
    elif image != settings.drill.blueprint_id:
        why = f"a new host is a {settings.drill.blueprint_id}, this one is a {image}"
    if why:
        findings.append(receiver.not_yet("restore.host.packages", _PACKAGES, why))
    else:
        files = sorted({*source.libraries, *source.preloaded})
        owned = context.ask(owners(major, source.extensions, files))
        given = [f"postgresql-{major}", *extension_packages(settings, major, source.preloaded)]
        findings.append(judge_packages(owned, given, context.ask(candidates(*given))))
    why = "no host is there yet that would receive it"
    return [
        *findings,
        *(
            receiver.not_yet(f"restore.host.{name}", f"A new host has the source's {what}", why)
            for name, what in _HERE
        ),
    ]


_PACKAGES = "A new host gets every package that the databases use"


def _annotated(newest: backups.BackupSet) -> Finding:
    if not newest.source:
        return receiver.source_not_known(newest)
    read_source(newest.source)
    return judge(
        "restore.host.source",
        "It is known what the restored databases want of their host",
        passed=True,
        observed=f"set {newest.label} says it",
        expected="written down with each set",
        requirement="D4",
    )


def _bundle(
    bundle_id: str, bundle: Bundle | None, newest: backups.BackupSet, source: Source
) -> list[Finding]:
    if bundle is None:
        return [
            judge(
                "restore.host.bundle",
                "The bundle of a new host is known",
                passed=False,
                observed=f"Lightsail has no bundle {bundle_id!r}",
                expected="one of those that it offers",
                hint="drill.bundle_id in the parameter file: aws lightsail get-bundles",
                requirement="D4",
            )
        ]
    host = ReceivingHost(bundle.disk_bytes - _SYSTEM_BYTES, bundle.memory_bytes)
    return [
        receiver.judge_disk(host, newest.size, receiver.MOST_WAL),
        receiver.judge_memory(host, source),
        receiver.judge_settings(host, source),
    ]


def judge_packages(owned: Owners, given: list[str], offered: dict[str, str | None]) -> Finding:
    """What is in use here against what an installation by the parameter file would bring."""
    bad = [
        f"{thing} is in {package}" if package else f"{thing} is in no package"
        for thing, package in sorted(owned.items())
        if package not in given
    ]
    bad += [f"{name} is not offered" for name in given if offered.get(name) is None]
    return judge(
        "restore.host.packages",
        _PACKAGES,
        passed=not bad,
        observed="; ".join(bad) if bad else f"{len(owned)} extensions and libraries",
        expected=f"all of them in {', '.join(given)}, and those offered by the package source",
        hint="name the extension in postgres.extensions of the parameter file; a package that the "
        "source does not offer: add apt.postgresql.org; what no package owns: drill.from_snapshot "
        "with a host that has it",
        requirement="D4",
    )
