"""The journal: before the deed, closed in `finally`, redacted, for several writers."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chronos_ops.evidence.journal import FileJournal, intervals, read_journal, union_seconds
from chronos_ops.evidence.redact import Redactor
from chronos_ops.evidence.secrets import SOCKET_VARIABLE, SecretListener
from chronos_ops.model.plan import DestroyInstance
from chronos_ops.model.secret import Secret

REPOSITORY = Path(__file__).parents[2]


def test_interval_is_begun_before_and_closed_after(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    with journal.interval("remote", "psql", host="db") as extra:
        during = read_journal(tmp_path)
        extra["rows"] = 3
    assert [(e.event, e.kind, e.name, e.data) for e in during] == [
        ("begin", "remote", "psql", {"host": "db"})
    ]
    begin, end = read_journal(tmp_path)
    assert end.event == "end"
    assert end.data["begin"] == begin.seq
    assert end.data["status"] == "ok"
    assert end.data["rows"] == 3
    assert 0 <= end.data["seconds"] < 1
    assert begin.at.endswith("Z")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("no"), "error"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(0), "interrupted"),
    ],
)
def test_interval_records_how_it_ended(tmp_path: Path, error: BaseException, status: str) -> None:
    journal = FileJournal(tmp_path)
    with pytest.raises(type(error)), journal.interval("step", "x"):
        raise error
    assert read_journal(tmp_path)[-1].data["status"] == status


def test_undo_is_data(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.resource("instance/a", (DestroyInstance(name="a", run_id="r"),))
    journal.resource("instance/b", (DestroyInstance(name="b", run_id="r"),))
    journal.removed("instance/a")
    events = read_journal(tmp_path)
    assert [(e.event, e.name) for e in events] == [
        ("resource", "instance/a"),
        ("resource", "instance/b"),
        ("removed", "instance/a"),
    ]
    assert DestroyInstance.model_validate(events[1].undo[0]) == DestroyInstance(
        name="b", run_id="r"
    )


def test_secrets_never_reach_the_file(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.keep_secret(Secret('pa"ss\\word'))
    journal.note("x", argv=["echo", 'pa"ss\\word'], nested={'pa"ss\\word': "cGEic3Ncd29yZA=="})
    with pytest.raises(RuntimeError), journal.interval("remote", "y"):
        raise RuntimeError('login pa"ss\\word failed')
    text = journal.path.read_text()
    assert "ss\\\\word" not in text
    assert "cGEic3" not in text
    assert read_journal(tmp_path)[0].data == {"argv": ["echo", "***"], "nested": {"***": "***"}}


def test_a_secret_reaches_the_listening_runner_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Redactor()
    with SecretListener(runner) as listener:
        assert listener.path.parent.stat().st_mode & 0o077 == 0
        monkeypatch.setenv(SOCKET_VARIABLE, str(listener.path))
        FileJournal(tmp_path).keep_secret(Secret("hunter22"))
        assert runner.text("my hunter22") == "my ***"
    assert not listener.path.parent.exists()
    FileJournal(tmp_path).keep_secret(Secret("later-one"))  # nobody listens: no error


def test_threads_and_processes_number_their_lines_without_gaps(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from chronos_ops.evidence.journal import FileJournal\n"
        "j = FileJournal(Path(sys.argv[1]))\nfor i in range(40): j.note('other', i=i)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    journal = FileJournal(tmp_path)

    def write() -> None:
        for _ in range(40):
            journal.note("mine")

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert other.wait(30) == 0
    assert [e.seq for e in read_journal(tmp_path)] == list(range(1, 161))


def test_a_torn_line_is_left_out_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    FileJournal(tmp_path).note("first")
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"seq":2,"at":"2026')
    FileJournal(tmp_path).note("after")
    assert [e.name for e in read_journal(tmp_path)] == ["first", "after"]
    assert read_journal(tmp_path)[-1].seq == 3


def test_union_counts_overlaps_once_and_open_intervals_to_the_end(tmp_path: Path) -> None:
    lines = [
        (1, 0.0, "begin", "remote", {}),
        (2, 1.0, "begin", "wait", {}),
        (3, 2.0, "end", "remote", {"begin": 1}),
        (4, 5.0, "end", "wait", {"begin": 2}),
        (5, 6.0, "begin", "step", {}),
        (6, 7.0, "begin", "remote", {}),
        (7, 9.5, "note", "", {}),
    ]
    with (tmp_path / "journal.jsonl").open("w") as file:
        for seq, monotonic, event, kind, data in lines:
            line = {"seq": seq, "at": "", "monotonic": monotonic, "event": event, "kind": kind}
            file.write(json.dumps({**line, "name": "n", "data": data}) + "\n")
    events = read_journal(tmp_path)
    assert union_seconds(events, {"remote", "wait"}) == pytest.approx(7.5)
    assert intervals(events, {"step"}) == [(6.0, 9.5)]


def test_no_announcement_without_its_record(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "gone")
    with pytest.raises(OSError, match="gone"), journal.interval("deed", "drop"):
        pytest.fail("the deed was done without its record")
    journal.note("closing lines are counted, not raised")
    assert journal.lost == 1
