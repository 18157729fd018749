"""Could this host receive it? Room, memory, version, libraries, locales, collations. Pure."""

from collections.abc import Sequence

from chronos_ops.facts.backups import BackupSet
from chronos_ops.facts.receiving_host import ReceivingHost
from chronos_ops.facts.source import Source
from chronos_ops.model.finding import Finding, Status, judge

_GIB = 2**30
RESERVE = 0.05  # of the restored size, for what a server writes beside its data
LEAST_RESERVE = _GIB // 2
MOST_WAL = 3 * _GIB  # recovery keeps max_wal_size and wal_keep_size, and fetches ahead
MOST_SHARED = 0.8  # of the memory
_LOCK_BYTES = 400  # of the lock table, a slot (lock.c: LOCK and PROCLOCK with their hash entries)
_BACKEND_BYTES = 400 * 1024  # of private memory that each connection takes at least
_SIZES = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
_INSTALL = (
    "name it in postgres.extensions of the parameter file (the package is installed then), or make "
    "a snapshot that has it and name that in drill.from_snapshot"
)


def judge_receiver(
    host: ReceivingHost, backup: BackupSet, wal_bytes: int, major: str, source: Source | None
) -> list[Finding]:
    """Everything that a host can be told to lack before the first byte is copied."""
    findings = [judge_disk(host, backup.size, wal_bytes), judge_major(host, major)]
    if source is None:
        return [*findings, source_not_known(backup)]
    return [
        *findings,
        judge_memory(host, source),
        judge_settings(host, source),
        judge_extensions(host, source),
        judge_libraries(host, source),
        judge_preloaded(host, source),
        judge_locales(host, source),
        judge_collations(host, source),
    ]


def source_not_known(backup: BackupSet) -> Finding:
    """A set of before the job wrote the source down; what its host must have is not known."""
    return judge(
        "restore.host.source",
        "It is known what the restored databases want of their host",
        passed=None,
        observed=f"set {backup.label} says nothing about the server that it was taken from",
        expected="extensions, libraries, settings, locales and collations, as the backup job "
        "writes them down with each set",
        hint="run the backup runbook's stage `backup-jobs`, then systemctl start "
        "chronos-backup-full.service: sets from then on say it",
        requirement="D4",
    )


def _gib(number: float) -> str:
    return f"{number / _GIB:.2f} GiB"


def judge_disk(host: ReceivingHost, size: int, wal_bytes: int) -> Finding:
    """The files, the WAL that recovery keeps at a time, and a reserve."""
    reserve = max(LEAST_RESERVE, int(size * RESERVE))
    wal = min(wal_bytes, MOST_WAL)
    needed = size + wal + reserve
    return judge(
        "restore.host.disk",
        "The disk of the receiving host holds what is restored",
        passed=host.disk_free >= needed,
        observed=f"{_gib(host.disk_free)} free",
        expected=f"{_gib(needed)}: {_gib(size)} of files, {_gib(wal)} of WAL, {_gib(reserve)} "
        "of reserve",
        hint="a larger bundle: drill.bundle_id in the parameter file",
        requirement="D4",
    )


def judge_major(host: ReceivingHost, major: str) -> Finding:
    """A data directory is of one major version."""
    return judge(
        "restore.host.major",
        "The receiving host has PostgreSQL of the backup's version",
        passed=None if host.major is None else host.major == major,
        observed=host.major or "it is not installed",
        expected=major,
        hint=f"install postgresql-{major}: from the release, or from apt.postgresql.org",
        requirement="D4",
    )


def judge_memory(host: ReceivingHost, source: Source) -> Finding:
    """PostgreSQL does not start where its shared memory cannot be had."""
    buffers = source.number("shared_buffers") * source.number("block_size")
    slots = source.number("max_connections") + source.number("max_prepared_transactions")
    shared = buffers + slots * source.number("max_locks_per_transaction") * _LOCK_BYTES
    huge = source.settings.get("huge_pages") == "on"
    lacks_huge = huge and host.huge_pages == 0
    return judge(
        "restore.host.memory",
        "The receiving host has the memory for the source's shared memory",
        passed=shared <= host.memory * MOST_SHARED and not lacks_huge,
        observed=f"{_gib(host.memory)} of memory" + (", no huge pages" if lacks_huge else ""),
        expected=f"{_gib(shared)} of it or less than {MOST_SHARED:.0%}: shared_buffers "
        f"{_gib(buffers)} and the lock table" + (", in huge pages" if huge else ""),
        hint="a larger bundle (drill.bundle_id), or a smaller shared_buffers at the source"
        + ("; huge_pages = try" if huge else ""),
        requirement="D4",
    )


def judge_settings(host: ReceivingHost, source: Source) -> Finding:
    """Recovery stops where these are smaller than at the source: so this host must bear them."""
    numbers = {name: source.number(name) for name in _SIZES}
    processes = sum(
        numbers[name] for name in ("max_connections", "max_worker_processes", "max_wal_senders")
    )
    needed = numbers["max_connections"] * _BACKEND_BYTES
    enough = host.processes is None or processes < host.processes
    return judge(
        "restore.host.settings",
        "The receiving host bears the settings that recovery wants as large as the source's",
        passed=enough and needed <= host.memory,
        observed=f"{_gib(host.memory)} of memory"
        + (f", {host.processes} processes" if host.processes is not None else ""),
        expected=", ".join(f"{name} {value}" for name, value in numbers.items())
        + f": {processes} processes, {_gib(needed)} for idle connections",
        hint="a larger bundle (drill.bundle_id); a smaller max_connections at the source, with a "
        "connection pool, and a full backup after it",
        requirement="D4",
    )


def _judge_there(
    identifier: str, title: str, wanted: Sequence[str], there: frozenset[str] | None, hint: str
) -> Finding:
    missing = [] if there is None else [name for name in wanted if name not in there]
    return judge(
        identifier,
        title,
        passed=None if there is None else not missing,
        observed="not looked at"
        if there is None
        else f"missing: {', '.join(missing)}"
        if missing
        else "all there",
        expected=", ".join(wanted) or "none is wanted",
        hint=hint,
        requirement="D4",
    )


def judge_extensions(host: ReceivingHost, source: Source) -> Finding:
    """By their control files."""
    return _judge_there(
        "restore.host.extensions",
        "The receiving host has the extensions of the source's databases",
        source.extensions,
        host.extensions,
        _INSTALL,
    )


def judge_libraries(host: ReceivingHost, source: Source) -> Finding:
    """Functions come from files outside the data directory, some with a version in their names."""
    return _judge_there(
        "restore.host.libraries",
        "The receiving host has the libraries that the databases' functions are in",
        source.libraries,
        host.libraries,
        f"{_INSTALL}; where the name has a version in it, just that version of the package",
    )


def judge_preloaded(host: ReceivingHost, source: Source) -> Finding:
    """A server with its own configuration does not start without them."""
    return _judge_there(
        "restore.host.preload",
        "The receiving host has the libraries that the source preloads",
        source.preloaded,
        host.libraries,
        f"{_INSTALL}; one that is not used any more: take it out of shared_preload_libraries",
    )


def _normal(locale: str) -> str:
    language, _, charset = locale.partition(".")
    return f"{language}.{charset.replace('-', '').lower()}" if charset else language


def judge_locales(host: ReceivingHost, source: Source) -> Finding:
    """There, or with a definition that they are made from before recovery ends."""
    wanted = sorted({name for database in source.databases for name in database.locales})
    there = {_normal(name) for name in host.locales or ()} | {"C", "POSIX"}
    gone = [
        name
        for name in wanted
        if _normal(name) not in there and name.partition(".")[0] not in host.definitions
    ]
    made = [name for name in wanted if _normal(name) not in there and name not in gone]
    known = host.locales is not None
    return judge(
        "restore.host.locales",
        "The receiving host has the locales of the source's databases",
        passed=not gone if known else None,
        observed="not looked at"
        if not known
        else f"missing: {', '.join(gone)}"
        if gone
        else "all there" + (f"; made when restored: {', '.join(made)}" if made else ""),
        expected=", ".join(wanted),
        hint="install the package `locales` (or the one it comes from) in a snapshot, and name "
        "that in drill.from_snapshot",
        requirement="D4",
    )


def judge_collations(host: ReceivingHost, source: Source) -> Finding:
    """Indexes over text are sorted as the library of the source sorts."""
    differ = set()
    uses_icu = False
    for database in source.databases:
        used = {(kind, version) for kind, _, version in (c.partition(" ") for c in
                                                        database.collations)}  # fmt: skip
        if database.version:
            used.add((database.provider, database.version))
        for kind, version in used:
            if kind == "c" and host.glibc not in (None, version):
                differ.add(f"{database.name}: glibc {version}, here {host.glibc}")
            uses_icu = uses_icu or kind == "i"
    known = host.icu is not None or not uses_icu
    if uses_icu and host.icu is not None and host.icu != source.icu:
        differ.add(f"ICU {source.icu}, here {host.icu or 'none'}")
    return judge(
        "restore.host.collations",
        "Text sorts on the receiving host as it does at the source",
        passed=not differ if host.glibc is not None and known else None,
        observed="; ".join(sorted(differ))
        if differ
        else f"glibc {host.glibc}, ICU {host.icu or 'none'}",
        expected=f"the source's: glibc {source.glibc}, ICU {source.icu or 'none'}",
        hint="an image of the source's release (drill.blueprint_id); else, after the restore and "
        "before anybody writes: amcheck, REINDEX what sorts text, then ALTER DATABASE ... REFRESH "
        "COLLATION VERSION",
        requirement="D5",
    )


def not_yet(identifier: str, title: str, why: str) -> Finding:
    """What only a host that is there can be asked."""
    return Finding(
        id=identifier,
        status=Status.NOT_APPLICABLE,
        title=title,
        observed=why,
        expected="the drill looks at the host that it has made, before data are copied",
        requirement="D4",
    )
