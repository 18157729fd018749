"""What stops a restore or a recovery is named, from words that were seen."""

import pytest

from chronos_ops.drill.stops import judge_archive_read, recovery_stopped, restore_stopped
from chronos_ops.model.errors import ChronosError, CommandFailed, Refused, Rule, TransportError
from chronos_ops.model.finding import Status, broken_rule
from chronos_ops.model.recovery_target import RecoveryTarget

LATEST = RecoveryTarget()


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        (
            "DETAIL:  max_connections = 10 is a lower setting than on the primary server, where 1",
            "drill.recovery.settings",
        ),
        (
            'FATAL:  could not access file "pg_stat_statements": No such file or directory',
            "drill.recovery.preload-library",
        ),
        (
            'FATAL:  could not write to file "pg_wal/xlogtemp.31": No space left on device',
            "drill.recovery.disk-space",
        ),
        (
            "FATAL:  recovery ended before configured recovery target was reached",
            "drill.recovery.target-reached",
        ),
        (
            "FATAL:  requested timeline 3 is not a child of this server's history",
            "drill.recovery.timeline",
        ),
        (
            "FATAL:  could not map anonymous shared memory: Cannot allocate memory",
            "drill.recovery.memory",
        ),
        (
            'LOG:  unrecognized configuration parameter "age.enabled" in file "x" line 3',
            "drill.recovery.configuration",
        ),
    ],
)
def test_a_recovery_that_stopped_is_named_with_its_mend(words: str, finding: str) -> None:
    error = recovery_stopped(LATEST, 1, f"LOG:  starting\n{words}\nLOG:  shut down")
    named = broken_rule(error)
    assert named is not None
    assert (named.id, named.status, error.exit_status) == (finding, Status.FAIL, 1)
    assert named.hint
    assert words.rpartition("  ")[2] in named.observed


def test_what_is_not_known_stays_the_servers_words() -> None:
    error = recovery_stopped(LATEST, 3, "PANIC:  the moon is full")
    assert isinstance(error, CommandFailed)
    assert broken_rule(error) is None
    assert "the moon is full" in error.text()


def test_a_full_disk_in_the_middle_of_a_restore_is_named() -> None:
    said = (
        "P01  INFO: restore file base/5/1259 (120KB, 3.2%)\n"
        "ERROR: [041]: unable to write '/var/lib/postgresql/17/main/base/5/2619': [28] No space "
        "left on device\n"
    )
    named = broken_rule(restore_stopped(CommandFailed("pgbackrest", 41, said)))
    assert named is not None
    assert named.id == "drill.restore.disk-space"
    other = CommandFailed("pgbackrest", 37, "ERROR: [037]: restore command requires option: x")
    assert restore_stopped(other) is other


def test_a_segment_that_could_not_be_fetched_is_no_end_of_the_archive() -> None:
    ended = "LOG:  redo done at 0/7041FA8\nINFO: unable to find 000000010000000000000008 in the "
    assert judge_archive_read(ended).status is Status.PASS
    broken = "ERROR: [041]: unable to write 'pg_wal/RECOVERYXLOG': [28] No space left on device"
    assert judge_archive_read(f"LOG:  x\n{broken}\n").status is Status.FAIL


def test_a_broken_rule_is_never_wrong_usage() -> None:
    rule = Rule("drill.x", "x holds", "x", "D4")
    refused = Refused("y", "z", breaks=rule)
    assert (refused.exit_status, Refused("y").exit_status, Refused.exit_status) == (1, 2, 2)
    lost = broken_rule(TransportError("the way", breaks=rule))
    assert lost is not None
    assert lost.status is Status.UNKNOWN
    assert broken_rule(ChronosError("x")) is None
