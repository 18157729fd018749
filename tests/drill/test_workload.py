"""The writer's record, its task, and the probe's patience."""

import json
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from chronos_ops.connectors.postgres import PgAddress
from chronos_ops.drill import workload
from chronos_ops.drill.probe import Look, failing
from chronos_ops.drill.workload import Task, Writer, parse_record, read_record
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.secret import Secret

NOWHERE = PgAddress("127.0.0.1", 1, "nothing", "nobody", connect_timeout=2)


def line(seq: int) -> str:
    return json.dumps(
        {"seq": seq, "begun": 1.0, "acked": 1.1, "at": "t", "lsn": "0/3000000", "xid": "7"}
    )


def test_acknowledged_in_doubt_and_cut_off_lines() -> None:
    doubt = json.dumps({"in_doubt": 2, "error": "server closed the connection"})
    record = parse_record([line(1), doubt, line(3), line(4)[:20]])
    assert [c.seq for c in record.acked] == [1, 3]
    assert record.in_doubt == (2,)
    assert record.errors == ("server closed the connection",)


def test_no_record_yet(tmp_path: Path) -> None:
    assert read_record(tmp_path / "none.jsonl").acked == ()


def test_a_task_survives_the_way_to_the_writer_and_hides_its_password() -> None:
    task = Task(NOWHERE, "/tmp/r.jsonl", 20.0, first_seq=5, password=Secret("hush"))
    again = Task.load(task.dump())
    assert again == task
    assert again.password == Secret("hush")
    assert "hush" not in repr(task)


def test_a_writer_that_reaches_nobody_says_so_and_ends_with_its_stdin(tmp_path: Path) -> None:
    writer = Writer(Task(NOWHERE, str(tmp_path / "r.jsonl"), 50.0), tmp_path / "writer.log")
    with pytest.raises(ChronosError, match="0 acknowledged commits"):
        writer.wait_for(1, timeout=1.5)
    record = writer.stop()
    assert record.acked == ()
    assert writer._process.returncode == 0
    assert (tmp_path / "writer.log").read_text() == ""


class Server:
    """Acknowledges every row, and ends the writer after the last one."""

    def __init__(self, stop: threading.Event, rows: int) -> None:
        self.stop, self.left = stop, rows

    def execute(self, sql: str, values: object = None) -> "Server":
        self.left -= values is not None
        if self.left == 0:
            self.stop.set()
        return self

    def fetchone(self) -> dict[str, str]:
        return {"lsn": "0/3000000", "xid": "7"}


def test_at_rate_zero_the_writer_waits_for_nothing_but_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    monkeypatch.setattr(workload, "connect", lambda *_: nullcontext(Server(stop, 300)))
    monkeypatch.setattr(stop, "wait", lambda *_: pytest.fail("it waited"))
    workload._Loop(Task(NOWHERE, str(tmp_path / "r.jsonl"), 0.0), stop).run()
    assert [c.seq for c in read_record(tmp_path / "r.jsonl").acked] == list(range(1, 301))


def look(at: float, ok: bool) -> Look:
    return Look(at, ok, "")


def test_only_failures_in_a_row_and_after_the_moment_count() -> None:
    looks = [look(1, False), look(2, False), look(3, True), look(4, False), look(5, False)]
    assert failing(looks, 3, since=0) is None
    found = failing([*looks, look(6, False), look(7, False)], 3, since=0)
    assert found is not None
    assert found.at == 6
    assert failing(looks, 2, since=4.5) is None
