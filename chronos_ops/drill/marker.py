"""Markers: rows of our own on the declared host, to be found again after a restore (B5, D3)."""

from chronos_ops.connectors.ssh import Ssh

DATABASE = "chronos_marker"

_EXISTS = "SELECT count(*) AS n FROM pg_database WHERE datname = 'chronos_marker'"
_TABLE = """
CREATE TABLE IF NOT EXISTS markers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id text NOT NULL, note text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(), UNIQUE (run_id, note));
DELETE FROM markers WHERE at < now() - interval '90 days';
"""
_INSERT = """
INSERT INTO markers (run_id, note) VALUES ('{run_id}', '{note}');
"""
_NOW = """
SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS now,
       pg_walfile_name(pg_current_wal_insert_lsn()) AS segment,
       pg_current_wal_insert_lsn()::text AS lsn
"""
_NOTES = "SELECT note FROM markers WHERE run_id = '{run_id}'"

# A checkpointer that begins during recovery sleeps for checkpoint_timeout, unless it is woken:
# only then does it look at archive_timeout for the first time (checkpointer.c, PostgreSQL 17).
_FIRST_LOOK = """
SELECT greatest(0, extract(epoch FROM pg_postmaster_start_time() - clock_timestamp())
    + setting::int)::float AS seconds FROM pg_settings WHERE name = 'checkpoint_timeout'
"""


def prepare(ssh: Ssh) -> None:
    """The marker database and table, made once."""
    if ssh.sql_rows(_EXISTS)[0]["n"] == 0:
        ssh.sql(f"CREATE DATABASE {DATABASE};")
    ssh.sql(_TABLE, DATABASE)


def write(ssh: Ssh, run_id: str, note: str) -> None:
    """One marker, one commit."""
    ssh.sql(_INSERT.format(run_id=run_id, note=note), DATABASE)


def now(ssh: Ssh) -> dict[str, str]:
    """The server's clock (UTC), and where its WAL stands."""
    return {name: str(value) for name, value in ssh.sql_rows(_NOW)[0].items()}


def first_look(ssh: Ssh) -> float:
    """Seconds in which a server that was started lately may not yet heed archive_timeout."""
    return float(ssh.sql_rows(_FIRST_LOOK)[0]["seconds"])


def notes(ssh: Ssh, run_id: str) -> set[str]:
    """The markers of a run that are there."""
    asked = _NOTES.format(run_id=run_id)
    return {str(row["note"]) for row in ssh.sql_rows(asked, DATABASE)}
