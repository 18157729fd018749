"""What is written to a drill host, and what its server's log and WAL tell."""

import pytest

from chronos_ops.drill.abruptness import judge_abrupt
from chronos_ops.drill.firewall import ruleset
from chronos_ops.drill.restore import read_recovery
from chronos_ops.drill.restored_config import host_based, safe, sizes
from chronos_ops.model.errors import Refused, UnreadableAnswer
from chronos_ops.model.finding import Status
from chronos_ops.model.settings import Settings, parse_settings

CONTROLDATA = """pg_control version number:            1700
wal_level setting:                    replica
max_connections setting:              300
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           5
max_locks_per_xact setting:           64
"""
LOG = """\
2026-11-22 22:24:10.019 UTC [2961] LOG:  starting PostgreSQL 17.12 (Debian 17.12-0+deb13u1)
2026-11-22 22:24:11.100 UTC [2964] LOG:  redo starts at 0/6000028
2026-11-22 22:24:12.100 UTC [2964] LOG:  redo done at 0/7041FA8 system usage: CPU: user: 0.01 s
2026-11-22 22:24:12.101 UTC [2964] LOG:  last completed transaction was at log time 2026-11-22 \
22:42:35.890802+00
2026-11-22 22:24:12.300 UTC [2964] LOG:  selected new timeline ID: 2
2026-11-22 22:24:12.523 UTC [2961] LOG:  database system is ready to accept connections
"""
WAL = """\
rmgr: Heap        len (rec/tot):     54/    54, tx:        949, lsn: 0/06000028, prev 0/05FFFF0, \
desc: INSERT off: 7, flags: 0x00
rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/06000060, prev 0/06000028, \
desc: CHECKPOINT_ONLINE redo 0/6000028; tli 1
"""


def settings(*extensions: str) -> Settings:
    return parse_settings(
        {
            "target": "t",
            "aws": {"account_id": "123456789012", "profile": "p"},
            "host": {"instance": "i", "address": "192.0.2.1", "key_file": "k"},
            "postgres": {
                "operator_networks": ["192.0.2.0/24", "2001:db8::/64"],
                "extensions": list(extensions),
            },
            "backup": {"bucket": "b"},
        }
    )


def test_sizes_are_those_of_the_source() -> None:
    assert sizes(CONTROLDATA) == {
        "max_connections": "300",
        "max_worker_processes": "8",
        "max_wal_senders": "10",
        "max_prepared_transactions": "5",
        "max_locks_per_transaction": "64",
    }
    with pytest.raises(UnreadableAnswer, match="max_wal_senders"):
        sizes(CONTROLDATA.replace("max_wal_senders", "something"))


def test_a_restored_copy_archives_replicates_and_schedules_nothing() -> None:
    lines = safe(settings("vector", "pg_cron", "timescaledb"), 17, {}, {}).splitlines()
    for wanted in (
        "archive_mode = 'off'",
        "archive_command = ''",
        "archive_library = ''",
        "max_logical_replication_workers = '0'",
        "primary_conninfo = ''",
        "synchronous_standby_names = ''",
        "recovery_min_apply_delay = '0'",
        "default_transaction_read_only = 'off'",
        "event_triggers = 'off'",
        "shared_preload_libraries = 'timescaledb'",
        "timescaledb.restoring = 'on'",
    ):
        assert wanted in lines
    assert not any("cron" in line for line in lines)
    older = safe(settings("vector"), 13, {"max_connections": "300"}, {})
    assert "archive_library" not in older  # a setting it does not know would stop its start
    assert "ssl_crl_dir" not in older
    assert "event_triggers" not in older
    assert "max_connections = '300'" in older


def test_only_operators_come_in_and_only_over_tls() -> None:
    networks = settings().postgres.operator_networks
    rules = ruleset(networks, (22, 5432))
    assert "policy drop" in rules
    assert "ip saddr 192.0.2.0/24 tcp dport { 22, 5432 } accept" in rules
    assert "ip6 saddr 2001:db8::/64 tcp dport { 22, 5432 } accept" in rules
    hba = host_based(networks).splitlines()
    assert all(line.startswith(("local", "hostssl")) for line in hba)
    assert len(hba) == 4


def test_the_log_tells_when_redo_ended() -> None:
    found = read_recovery(LOG, 2.9)
    assert found.promote_seconds == pytest.approx(0.423)
    assert found.redo_end == "0/7041FA8"
    assert found.wal_bytes == 0x7041FA8 - 0x6000028
    assert found.last_commit_at == "2026-11-22 22:42:35.890802+00"


def test_wal_of_unknown_volume_is_not_zero() -> None:
    assert read_recovery(LOG.replace("redo starts", "something starts"), 1.0).wal_bytes is None


def test_a_log_without_recovery_is_no_recovery() -> None:
    with pytest.raises(Refused, match="tells of no recovery"):
        read_recovery(LOG.replace("redo done", "something done"), 1.0)


def test_a_shutdown_checkpoint_betrays_a_clean_stop() -> None:
    assert judge_abrupt(WAL, "").status is Status.PASS
    clean = judge_abrupt(WAL.replace("ONLINE", "SHUTDOWN"), "")
    assert clean.status is Status.FAIL
    assert "0/06000060" in clean.observed


def test_a_clean_shutdown_is_heard_by_the_writer_even_where_the_wal_does_not_show_it() -> None:
    goodbye = "FATAL:  terminating connection due to administrator command"
    told = judge_abrupt(WAL, "", ["consuming input failed", goodbye])
    assert told.status is Status.FAIL
    assert "administrator command" in told.observed
    cut = judge_abrupt(WAL, "", ["server closed the connection unexpectedly"])
    assert cut.status is Status.PASS


def test_wal_that_was_not_read_whole_proves_nothing() -> None:
    assert judge_abrupt(WAL, "could not read", whole=False).status is Status.UNKNOWN


def test_no_wal_proves_nothing() -> None:
    assert judge_abrupt("", "pg_waldump: error: could not find file").status is Status.UNKNOWN
