"""Recovery targets held against a real archive, before anything is touched (D7)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from chronos_ops import runner
from chronos_ops.drill.archived import switch_segment, wait_stored
from chronos_ops.drill.reader import check_read_only
from chronos_ops.drill.scenario import find
from chronos_ops.drill.state import Drill
from chronos_ops.execution.context import Context
from chronos_ops.faults.fault import choose
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import UsageError
from chronos_ops.model.finding import Status, broken_rule
from chronos_ops.model.recovery_target import parse_target
from chronos_ops.model.result import Verdict
from chronos_ops.model.settings import load_settings
from tests.lab.drilling import drill_context

pytestmark = pytest.mark.lab
_SET = re.compile(r"backup set `([^`]+)`")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def context(lab: LabStatus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A target with backups; a restore point and a transaction, archived, and a backup since."""
    given = {"allow_restart": "true", "pitr_test": "false"}
    done = runner.run("pgbackrest_backup_restore", lab.name, given, approve=lab.name)
    assert done.verdict in (Verdict.PASSED, Verdict.DEVIATED), done.reasons
    found = drill_context(load_settings(lab.name), tmp_path_factory.mktemp("targets"))
    found.ssh.sql("CREATE TABLE IF NOT EXISTS moments (xid text);")
    found.ssh.sql("INSERT INTO moments SELECT pg_current_xact_id()::text;")
    found.ssh.sql("SELECT pg_create_restore_point('before the release');")
    stanza = found.settings.backup.stanza
    wait_stored(found, found.ssh, stanza, switch_segment(found.ssh))
    backup = ["pgbackrest", f"--stanza={stanza}", "--repo=1", "--type=diff", "backup"]
    found.ssh.run(backup, user="postgres")
    yield found
    found.ssh.sql("DROP TABLE moments;")
    found.close()


def looked_up(context: Context, words: str) -> str:
    proof = find("production_proof")
    return proof.check_target(context, Drill(), parse_target(words, NOW)).summary


def test_a_restore_point_is_found_and_the_backup_before_it_taken(context: Context) -> None:
    summary = looked_up(context, "name:before the release")
    assert "name:before the release (at 0/" in summary
    chosen, newest = (_SET.findall(text)[0] for text in (summary, looked_up(context, "")))
    assert chosen < newest  # the newest was taken since: from there it cannot be reached


def test_a_transaction_is_found(context: Context) -> None:
    xid = context.ssh.sql_rows("SELECT max(xid) AS xid FROM moments")[0]["xid"]
    assert f"xid:{xid} (at 0/" in looked_up(context, f"xid:{xid}")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("target_name_unknown", "in none of the [0-9]+ archived WAL segments"),
        ("target_xid_unknown", "in none of the [0-9]+ archived WAL segments"),
        ("target_xid_future", "no transaction has that id yet"),
        ("target_timeline_unknown", "no WAL of that timeline is archived"),
        ("target_lsn_unwritten", "after the last archived WAL"),
        ("target_before_first_backup", "before the first backup ended"),
    ],
)
def test_what_the_archive_lacks_is_refused(context: Context, fault: str, why: str) -> None:
    (known,) = choose([fault])
    with pytest.raises(UsageError, match=f"(?s)cannot be reached.*{why}") as refused:
        looked_up(context, known.parameters["recovery_target"])
    named = broken_rule(refused.value)
    assert named is not None
    assert named.id == known.finding


def test_the_hosts_own_key_is_seen_to_write(context: Context) -> None:
    """The control of the drill host's check: with this key the attempt succeeds."""
    stanza = context.settings.backup.stanza
    found = check_read_only(context.ssh, stanza)
    assert found.status is Status.FAIL, found.observed
    listed = ["pgbackrest", "--repo=1", "--log-level-console=off", "repo-ls", f"archive/{stanza}"]
    assert "write-probe" not in context.ssh.run(listed, user="postgres").stdout
