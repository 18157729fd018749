"""The outside writer (D6): one row a commit, and a record of every acknowledged one.

It is a process of its own (`python -m chronos_ops.drill.workload`) that gets its task, password
included, as JSON on stdin, and ends when stdin does: with its parent, however that ends. A line
of the record is written after the COMMIT was acknowledged and before the next row is sent. A
commit whose answer never came is *in doubt*: neither promised nor lost.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, LiteralString, cast

from chronos_ops.connectors.postgres import Error, PgAddress, connect
from chronos_ops.model.errors import ChronosError, TransportError
from chronos_ops.model.secret import Secret
from chronos_ops.model.timing import stamp, utc_now

INSERT: LiteralString = (
    "INSERT INTO chronos_drill.commits (seq, payload, client_at) VALUES (%s, %s, %s)"
    " RETURNING pg_current_wal_insert_lsn()::text AS lsn, pg_current_xact_id()::text AS xid"
)


@dataclass(frozen=True)
class Commit:
    """One acknowledged commit. `begun` and `acked` are on the monotonic clock (seconds)."""

    seq: int
    begun: float
    acked: float
    at: str  # UTC, when the acknowledgement was read
    lsn: str  # insert position just before the commit record
    xid: str


@dataclass(frozen=True)
class CommitRecord:
    """What the writer was promised. `in_doubt` are sequence numbers without an answer."""

    acked: tuple[Commit, ...]
    in_doubt: tuple[int, ...] = ()
    errors: tuple[str, ...] = ()


def read_record(path: Path) -> CommitRecord:
    """The record so far; a last line cut off by a killed writer is in doubt by definition."""
    return parse_record(path.read_text(encoding="utf-8").splitlines() if path.exists() else [])


def parse_record(lines: Iterable[str]) -> CommitRecord:
    """A record from its lines."""
    acked: list[Commit] = []
    doubt: list[int] = []
    errors: list[str] = []
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if "in_doubt" in line:
            doubt.append(line["in_doubt"])
            errors.append(line.get("error", ""))
        elif "acked" in line:
            acked.append(Commit(**line))
    return CommitRecord(tuple(acked), tuple(doubt), tuple(errors))


@dataclass(frozen=True)
class Task:
    """What the writer shall do. `rate` in commits a second, 0: as fast as possible."""

    address: PgAddress
    record: str
    rate: float
    payload_bytes: int = 200
    first_seq: int = 1
    password: Secret | None = field(default=None, compare=False)

    def dump(self) -> str:
        data: dict[str, Any] = {"address": asdict(self.address)}
        for name in ("record", "rate", "payload_bytes", "first_seq"):
            data[name] = getattr(self, name)
        if self.password is not None:
            data["password"] = self.password.reveal()
        return json.dumps(data)

    @classmethod
    def load(cls, text: str) -> "Task":
        data = json.loads(text)
        password = data.pop("password", None)
        return cls(
            address=PgAddress(**data.pop("address")),
            password=None if password is None else Secret(password),
            **data,
        )


class Writer:
    """The parent's handle on a writer process."""

    def __init__(self, task: Task, log: Path) -> None:
        self.record = Path(task.record)
        self.record.parent.mkdir(parents=True, exist_ok=True)
        self.record.touch(mode=0o600)
        self._log = log.open("ab")
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH", "")) if p)
        self._process = subprocess.Popen(  # a session of its own: an interrupt is not for it
            [sys.executable, "-m", "chronos_ops.drill.workload"],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        stdin = cast(IO[bytes], self._process.stdin)
        stdin.write(task.dump().encode() + b"\n")
        stdin.flush()

    def wait_for(self, commits: int, timeout: float) -> CommitRecord:
        """Wait until so many commits are acknowledged. Raises ChronosError at the deadline."""
        deadline = time.monotonic() + timeout
        while len(found := read_record(self.record).acked) < commits:
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = read_record(self.record).errors[-1:] or ("no error was recorded",)
                raise ChronosError(
                    f"the outside writer has {len(found)} acknowledged commits, wanted {commits}",
                    last[0],
                    hint=f"see {self._log.name}",
                )
            time.sleep(0.05)
        return read_record(self.record)

    def stop(self, patience: float = 5.0) -> CommitRecord:
        """End the writer and give the whole record. An answer on its way is awaited that long."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        return read_record(self.record)


class _Loop:
    """The writing itself."""

    def __init__(self, task: Task, stop: threading.Event) -> None:
        self.task = task
        self.stop = stop
        self.seq = task.first_seq
        self.payload = os.urandom(task.payload_bytes // 2 + 1).hex()[: task.payload_bytes]
        self.sink = os.open(task.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                self._write_on_one_connection()
            except TransportError:
                self.stop.wait(0.2)

    def _write_on_one_connection(self) -> None:
        with connect(self.task.address, self.task.password) as connection:
            connection.execute("SET synchronous_commit = on")
            due = time.monotonic()
            while not self.stop.is_set():
                begun, client_at = time.monotonic(), utc_now()
                try:
                    row = connection.execute(INSERT, (self.seq, self.payload, client_at)).fetchone()
                    acked = time.monotonic()
                except Error as error:
                    self._line({"in_doubt": self.seq, "error": str(error).strip()[:200]})
                    self.seq += 1
                    self.stop.wait(0.2)
                    return
                values = cast(dict[str, str], row)
                commit = Commit(
                    self.seq, begun, acked, stamp(utc_now()), values["lsn"], values["xid"]
                )
                self._line(asdict(commit))
                self.seq += 1
                if self.task.rate == 0:
                    continue
                due = max(due + 1 / self.task.rate, acked - 1)  # no burst after a long stall
                if (pause := due - time.monotonic()) > 0:
                    self.stop.wait(pause)

    def _line(self, data: dict[str, Any]) -> None:
        os.write(self.sink, json.dumps(data).encode() + b"\n")  # one write: whole or not at all


def main() -> None:
    """Write until stdin ends."""
    task = Task.load(sys.stdin.readline())
    stop = threading.Event()

    def until_stdin_ends() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=until_stdin_ends, daemon=True).start()
    _Loop(task, stop).run()


if __name__ == "__main__":
    main()
