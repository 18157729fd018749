"""Why a restore or a recovery stopped, from pgBackRest's and PostgreSQL's own words (failures 14).

What is known gets a finding of its own, with the words and the mend; the rest stays what it is.
"""

import re
from dataclasses import dataclass

from chronos_ops.model.errors import ChronosError, CommandFailed, Rule
from chronos_ops.model.finding import Finding, judge
from chronos_ops.model.recovery_target import RecoveryTarget


@dataclass(frozen=True)
class Stop:
    """One known reason: what is found in the words, what it breaks, how it is mended."""

    words: re.Pattern[str]
    rule: Rule
    hint: str


def _stop(words: str, identifier: str, title: str, hint: str) -> Stop:
    rule = Rule(identifier, title, "nothing of the kind is said", "D4")
    return Stop(re.compile(rf"^.*(?:{words}).*$", re.MULTILINE), rule, hint)


_BIGGER = "take a larger bundle or disk (drill.bundle), or free space at the source first"
_RESTORE = (
    _stop(
        r"\[28\] No space left|No space left on device|\[122\] Disk quota",
        "drill.restore.disk-space",
        "the restored files fit on the host's disk",
        _BIGGER,
    ),
    _stop(
        r"InvalidObjectState",
        "drill.restore.readable",
        "every file of the backup set can be read now",
        "an archived object: thaw it first (B2), or restore another backup set",
    ),
    _stop(
        r"ERROR: \[0(?:26|29|55|95)\]|cipher header invalid",  # checksum, format, missing, crypto
        "drill.restore.readable",
        "every file of the backup set can be read now",
        "`pgbackrest verify` names what is damaged; restore another backup set, or from repo2",
    ),
)
_RECOVERY = (
    _stop(
        r"No space left on device",
        "drill.recovery.disk-space",
        "the WAL that is replayed fits on the host's disk",
        _BIGGER,
    ),
    _stop(
        r"is a lower setting than on the primary|insufficient parameter settings",
        "drill.recovery.settings",
        "the settings that recovery needs are as large as at the source",
        "give this host the value that the server names: it was raised after the backup, or this "
        "host has its own; take a full backup after such a change",
    ),
    _stop(
        r"could not access file \"[^\"]+\"|could not load library|resource manager with ID \d+ not",
        "drill.recovery.preload-library",
        "every preloaded library is on this host",
        "install the extension's package: name it in postgres.extensions, its source in the "
        "package source",
    ),
    _stop(
        r"locale is incompatible",
        "drill.recovery.locale",
        "the locales of the restored databases are on this host",
        "use an image that has the locale (drill.from_snapshot)",
    ),
    _stop(
        r"recovery ended before configured recovery target was reached",
        "drill.recovery.target-reached",
        "recovery stopped at its target",
        "the WAL in the repository ends before it: is it a moment that has been archived, on this "
        "timeline?",
    ),
    _stop(
        r"requested recovery stop point is before consistent recovery point",
        "drill.recovery.target-reached",
        "recovery stopped at its target",
        "the target lies before the end of this backup: restore an older one",
    ),
    _stop(
        r"requested timeline \d+ is not a child|recovery target timeline \d+ does not exist",
        "drill.recovery.timeline",
        "recovery can follow the timeline from this backup",
        "name a timeline that this backup lies on (`… timeline:N`)",
    ),
    _stop(
        r"WAL ends before (?:end of online backup|consistent recovery point)|"
        r"could not locate (?:a valid|required) checkpoint|invalid checkpoint record",
        "drill.recovery.wal-complete",
        "the WAL that makes the backup consistent is archived",
        "a segment is missing: restore an older backup set, and mend archiving",
    ),
    _stop(
        r"could not map anonymous shared memory|could not resize shared memory",
        "drill.recovery.memory",
        "the source's memory settings fit on this host",
        "take a larger bundle (drill.bundle)",
    ),
    _stop(
        r"database files are incompatible|was initialized by PostgreSQL version",
        "drill.recovery.same-release",
        "this host's PostgreSQL can run the source's files",
        "install the source's major version, built the same way",
    ),
    _stop(
        r"unrecognized configuration parameter|invalid value for parameter|contains errors",
        "drill.recovery.configuration",
        "this host's PostgreSQL knows every setting of the restored postgresql.auto.conf",
        "ALTER SYSTEM RESET the named setting at the source, or install what it belongs to",
    ),
    _stop(
        r"WAL contains references to invalid pages|invalid page in block",
        "drill.recovery.wal-replay",
        "the WAL can be replayed on the backup's pages",
        "the backup or its WAL is damaged: restore an older backup set",
    ),
)
_ARCHIVE_GET = re.compile(r"\bERROR: +\[\d{3}\]: .*$", re.MULTILINE)


def restore_stopped(error: CommandFailed) -> ChronosError:
    """pgBackRest's failure, named where it is known."""
    return _named("restore", error, _RESTORE, error.output)


def recovery_stopped(target: RecoveryTarget, exit_code: int, words: str) -> ChronosError:
    """The server's end, named where it is known. `words`: its log, since it was started."""
    what = f"recovery to {target}"
    return _named(what, CommandFailed(what, exit_code, words), _RECOVERY, words)


def _named(what: str, error: CommandFailed, known: tuple[Stop, ...], words: str) -> ChronosError:
    for stop in known:
        if said := stop.words.findall(words):
            told = "; ".join(dict.fromkeys(line.strip() for line in said[-3:]))
            return ChronosError(f"{what} stopped", told[:600], hint=stop.hint, breaks=stop.rule)
    return error


def judge_archive_read(log: str) -> Finding:
    """A WAL segment that could not be fetched looks like the end of the archive to PostgreSQL."""
    said = list(dict.fromkeys(_ARCHIVE_GET.findall(log)))
    return judge(
        "drill.recovery.archive-read",
        "no WAL segment was left out because it could not be fetched",
        passed=not said,
        observed="; ".join(said[:3]) or "pgBackRest tells of no error",
        expected="no error of archive-get during recovery",
        hint="what could not be read ends recovery early, without a word: mend it, recover again",
        requirement="D7",
    )
