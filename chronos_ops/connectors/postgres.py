"""PostgreSQL as a client sees it, from outside the host. The only psycopg importer."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from chronos_ops.model.errors import CommandFailed, TransportError
from chronos_ops.model.journal import Journal
from chronos_ops.model.question import Rows
from chronos_ops.model.secret import Secret

Error = psycopg.Error
OperationalError = psycopg.OperationalError


@dataclass(frozen=True)
class PgAddress:
    """Where a database is and how TLS is judged (libpq's sslmode)."""

    host: str
    port: int
    dbname: str
    user: str
    sslmode: str = "require"
    sslrootcert: str = ""
    connect_timeout: int = 5  # seconds
    hostaddr: str = ""  # where it is, if `host` is only the name to be verified


def connect(
    address: PgAddress, password: Secret | None, *, autocommit: bool = True
) -> "psycopg.Connection[dict[str, Any]]":
    """A raw connection (rows as dictionaries). Raises TransportError with the server's words."""
    options: dict[str, Any] = {"sslrootcert": address.sslrootcert} if address.sslrootcert else {}
    if address.hostaddr:
        options["hostaddr"] = address.hostaddr
    if password is not None:
        options["password"] = password.reveal()
    try:
        return psycopg.connect(
            host=address.host,
            port=address.port,
            dbname=address.dbname,
            user=address.user,
            sslmode=address.sslmode,
            connect_timeout=address.connect_timeout,
            application_name="chronos-ops",
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=2,
            tcp_user_timeout=10_000,  # milliseconds: a host without power must not block a client
            autocommit=autocommit,
            row_factory=dict_row,
            **options,
        )
    except psycopg.OperationalError as error:
        raise TransportError(
            f"PostgreSQL at {address.host}:{address.port}/{address.dbname} is not reachable",
            str(error).strip().splitlines()[-1],
            hint="is it running, does pg_hba.conf admit this network, is the port open?",
        ) from None


class Postgres:
    """One client connection, opened at first use."""

    def __init__(
        self, address: PgAddress, password: Secret | None = None, journal: Journal | None = None
    ) -> None:
        self.address = address
        self.password = password
        self.journal = journal
        self._connection: psycopg.Connection[dict[str, Any]] | None = None

    def connection(self) -> "psycopg.Connection[dict[str, Any]]":
        """The raw connection, in autocommit."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.address, self.password)
        return self._connection

    def _remote(self, sql: str) -> Any:
        if self.journal is None:
            return nullcontext()
        return self.journal.interval("remote", sql.strip()[:80], host=self.address.host)

    def query(self, sql: str, params: tuple[Any, ...] = ()) -> Rows:
        """Rows of a query. Raises CommandFailed (SQL error), TransportError."""
        with self._remote(sql):
            cursor = self._cursor(sql, params)
            return cursor.fetchall()

    def execute(self, sql: str, params: tuple[Any, ...] = ()) -> int:
        """Run a statement; returns the number of rows it touched."""
        with self._remote(sql):
            return self._cursor(sql, params).rowcount

    def _cursor(self, sql: str, params: tuple[Any, ...]) -> "psycopg.Cursor[dict[str, Any]]":
        try:
            return self.connection().execute(sql, params or None)
        except psycopg.OperationalError as error:
            self.close()
            where = f"{self.address.host}:{self.address.port}"
            raise TransportError(f"PostgreSQL at {where} broke off", str(error).strip()) from None
        except psycopg.Error as error:
            raise CommandFailed(f"SQL {sql.strip()[:120]!r}", 1, str(error)) from None

    def close(self) -> None:
        """Close, if open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
