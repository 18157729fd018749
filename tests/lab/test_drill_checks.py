"""The drill's own checks against what they are for: damaged pages, a clean stop, an open host."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chronos_ops.connectors.postgres import PgAddress
from chronos_ops.connectors.ssh import Ssh, SshAddress
from chronos_ops.drill import firewall, integrity, pages
from chronos_ops.drill.abruptness import check_abrupt
from chronos_ops.drill.archived import switch_segment
from chronos_ops.drill.workload import CommitRecord, Task, Writer
from chronos_ops.faults.restoring import damage_files
from chronos_ops.lab import control, doors
from chronos_ops.lab.control import LabStatus
from chronos_ops.model.errors import CommandFailed, TransportError
from chronos_ops.model.finding import Status
from chronos_ops.model.secret import Secret

pytestmark = pytest.mark.lab
Shell = Callable[..., Any]
NAME = "checked"
BIN = "/usr/lib/postgresql/17/bin"
DATA = "/var/lib/postgresql/17/main"
PASSWORD = "for-a-writer-of-this-test"
KINDS = ("gin", "gist", "brin", "hash", "spgist")
SAMPLE = """
CREATE TABLE things (id int PRIMARY KEY, words tsvector, place point, name text, long text);
INSERT INTO things SELECT g, to_tsvector('simple', 'word' || g % 500), point(g % 90, g),
    'name ' || g, (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 200))
    FROM generate_series(1, 3000) g;
CREATE INDEX things_gin ON things USING gin (words);
CREATE INDEX things_gist ON things USING gist (place);
CREATE INDEX things_spgist ON things USING spgist (place);
CREATE INDEX things_brin ON things USING brin (id);
CREATE INDEX things_hash ON things USING hash (name);
CHECKPOINT;
"""
WRITERS = f"""
CREATE ROLE writer LOGIN PASSWORD '{PASSWORD}';
CREATE SCHEMA chronos_drill AUTHORIZATION writer;
CREATE TABLE chronos_drill.commits (seq bigint PRIMARY KEY, payload text, client_at timestamptz);
ALTER TABLE chronos_drill.commits OWNER TO writer;
"""


@pytest.fixture(scope="module")
def ssh(lab: LabStatus) -> Iterator[Ssh]:
    """A host with a cluster of its own, page checksums on, open to the lab's network."""
    host = control.request(
        lab.name,
        "create",
        name=NAME,
        image="db",
        memory_bytes=1024**3,
        disk_bytes=8 * 1024**3,
        ports=[doors.port(1, 65535)],  # what is seen from outside is its own firewall alone
    )
    keys = tuple(f"{host['address']} {key}" for key in host["host_keys"])
    key_file = str(lab.user_dir / "id_ed25519")
    with Ssh(SshAddress(host["address"], 22, host["user"], key_file, keys)) as found:
        script = (
            "pg_createcluster 17 main -o listen_addresses='*' -- --data-checksums && "
            "echo 'hostssl all all 0.0.0.0/0 scram-sha-256' >> /etc/postgresql/17/main/pg_hba.conf"
            " && pg_ctlcluster 17 main start"
        )
        found.run(["sh", "-c", script], sudo=True)
        yield found
    control.request(lab.name, "delete", name=NAME)


def test_a_damaged_page_of_any_kind_of_index_is_seen(ssh: Ssh) -> None:
    """amcheck and a SELECT of every row look at none of these pages."""
    ssh.sql('CREATE DATABASE "it\'s = ""quoted""";')
    ssh.sql(SAMPLE)
    began = time.monotonic()
    control_run = pages.check_pages(ssh)
    print(f"{control_run.observed} in {time.monotonic() - began:.2f} s")
    assert control_run.status is Status.PASS, control_run.observed
    assert pages.check_page_checksums(ssh).status is Status.PASS
    for kind in (*KINDS, "btree", "TOAST", "table"):
        assert kind in control_run.observed
    left = ssh.sql_rows("SELECT extname FROM pg_extension WHERE extname = 'pg_prewarm'")
    assert left == []
    files = {
        kind: ssh.sql_rows(f"SELECT pg_relation_filepath('things_{kind}') AS path")[0]["path"]
        for kind in KINDS
    }
    toast = "(SELECT reltoastrelid FROM pg_class WHERE relname = 'things')"
    files["pg_toast"] = ssh.sql_rows(f"SELECT pg_relation_filepath({toast}) AS path")[0]["path"]
    damage_files(ssh, *files.values())
    found = pages.read_pages(ssh, "postgres")
    damaged = " ".join(text for part in found for text in part.damage)
    for kind in KINDS:
        assert f"things_{kind}: invalid page in block" in damaged
    assert "pg_toast.pg_toast" in damaged
    assert pages.judge_pages(found).status is Status.FAIL
    assert pages.check_page_checksums(ssh).status is Status.FAIL
    with suppress(CommandFailed):  # what the older checks say of the same cluster
        assert integrity.check_amcheck(ssh, BIN, 2).status is not Status.ERROR
    ssh.sql("DROP TABLE things;")


def written(ssh: Ssh, folder: Path, end: Callable[[], object]) -> tuple[str, CommitRecord]:
    """A writer outside commits until the host ends by `end`; where its WAL began."""
    ssh.sql("DROP SCHEMA IF EXISTS chronos_drill CASCADE; DROP ROLE IF EXISTS writer;" + WRITERS)
    start = str(ssh.sql_rows("SELECT pg_current_wal_insert_lsn()::text AS lsn")[0]["lsn"])
    address = PgAddress(ssh.address.host, 5432, "postgres", "writer", connect_timeout=2)
    task = Task(address, str(folder / "record.jsonl"), 50.0, password=Secret(PASSWORD))
    writer = Writer(task, folder / "writer.log")
    try:
        writer.wait_for(20, 30)
        end()
        deadline = time.monotonic() + 20
        while not writer.wait_for(1, 1).errors and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        record = writer.stop()
    ssh.close()
    return start, record


def started(lab: LabStatus, ssh: Ssh) -> None:
    """The host again, with its server."""
    control.request(lab.name, "start", name=NAME)
    deadline = time.monotonic() + 30
    while True:
        with suppress(CommandFailed, TransportError):
            ssh.sql("SELECT 1;")
            return
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_clean_shutdown_is_no_fault(lab: LabStatus, ssh: Ssh, tmp_path: Path) -> None:
    """RTMIN+4, the power button: the writer is told goodbye, and a checkpoint is written."""
    start, record = written(ssh, tmp_path, lambda: control.request(lab.name, "stop", name=NAME))
    started(lab, ssh)
    end = str(ssh.sql_rows("SELECT pg_current_wal_lsn()::text AS lsn")[0]["lsn"])
    told = check_abrupt(ssh, BIN, DATA, start, end, record.errors)
    assert told.status is Status.FAIL
    assert "the writer was told" in told.observed
    unheard = check_abrupt(ssh, BIN, DATA, start, end, ())
    assert unheard.status is Status.FAIL
    assert "shutdown checkpoint at" in unheard.observed


def test_a_power_failure_is_abrupt(lab: LabStatus, ssh: Ssh, tmp_path: Path) -> None:
    """The control: nobody is told, and no shutdown checkpoint comes before the last commit."""
    start, record = written(ssh, tmp_path, lambda: control.request(lab.name, "kill", name=NAME))
    started(lab, ssh)
    found = check_abrupt(ssh, BIN, DATA, start, record.acked[-1].lsn, record.errors)
    assert found.status is Status.PASS, found.observed


def test_a_host_without_a_firewall_is_seen_from_outside(ssh: Ssh) -> None:
    """Nobody listens there, and yet the host answers: it refuses."""
    found = firewall.check_closed(ssh.address.host, 22)
    assert found.status is Status.FAIL, found.observed
    assert "80: refused" in found.observed
    network = f"{ssh.address.host.rpartition('.')[0]}.0/24"
    firewall.close(ssh, (network,), 5432)
    closed = firewall.check_closed(ssh.address.host, 22)
    assert closed.status is Status.PASS, closed.observed
    nobody = f"{ssh.address.host.rpartition('.')[0]}.251"
    dead = firewall.check_closed(nobody, 22)
    assert dead.status is Status.UNKNOWN  # silence alone proves nothing


def test_a_segment_is_closed_although_nothing_was_written(ssh: Ssh) -> None:
    closed = [switch_segment(ssh) for _ in range(3)]
    rows = ssh.sql_rows("SELECT pg_walfile_name(pg_current_wal_lsn()) AS open")
    assert closed == sorted(set(closed))
    assert closed[-1] < str(rows[0]["open"])
