"""The queue of backup jobs, as the shell runs it: order, waiting, skipping, failing (B6)."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from chronos_ops.plans.templating import render

_FAKES = {
    # ActiveState and NextElapse of the full backup, from files that a test writes
    "systemctl": (
        '#!/bin/sh\n[ "$3" != ActiveState ] || exec cat "$FAKE/active"\n'
        'echo "SubState=$(cat "$FAKE/timer" 2>/dev/null || echo waiting)"\n'
        'echo "NextElapseUSecRealtime=$(cat "$FAKE/next")"\n'
    ),
    "pgbackrest": (
        '#!/bin/sh\ncase "$*" in *help*) cat "$FAKE/options"; exit ;; esac\n'
        'echo "$*" >>"$FAKE/calls"\n'
        'if [ -e "$FAKE/slow" ]; then touch "$FAKE/running"; '
        'while [ -e "$FAKE/slow" ]; do sleep 0.05; done; fi\n'
        'exit "$(cat "$FAKE/exit")"\n'
    ),
    "dpkg-query": "#!/bin/sh\necho postgresql-17 17.11\n",
}


class Queue:
    """The rendered script in a folder of its own, with programs that stand in."""

    def __init__(self, folder: Path, queue_seconds: int) -> None:
        self.folder = folder
        self.state, self.data, self.config = folder / "state", folder / "data", folder / "etc"
        for path in (self.state, self.data, self.config, folder / "bin"):
            path.mkdir()
        (self.config / "pg_hba.conf").write_text("local all all peer\n")
        for name, text in _FAKES.items():
            path = folder / "bin" / name
            path.write_text(text)
            path.chmod(0o755)
        self.say(active="inactive", next="", exit="0", options="  --delta\n", source="")
        self.script = folder / "backup-job"
        self.script.write_text(
            render(
                "backup-job.sh.j2",
                state=self.state,
                prefix="chronos-backup-",
                queue_seconds=queue_seconds,
                poll_seconds=0.1,
                stanza="chronos",
                data_directory=self.data,
                config_directory=self.config,
                kept="chronos_etc",
                port=5433,
                source_script='    echo "on $1: $(cat "$FAKE/source")"; [ -s "$FAKE/source" ]\n',
                annotation="chronos-source",
            )
        )

    def say(self, **answers: str) -> None:
        for name, text in answers.items():
            (self.folder / name).write_text(text)

    def start(self, kind: str) -> "subprocess.Popen[str]":
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return subprocess.Popen(
            ["sh", str(self.script), kind],
            env={"PATH": path, "FAKE": str(self.folder), "TZ": "UTC"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, kind: str) -> int:
        job = self.start(kind)
        job.communicate(timeout=30)
        return job.returncode

    def log(self) -> list[str]:
        path = self.state / "jobs.log"
        return [line.split(" ", 1)[1] for line in path.read_text().splitlines()]

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.is_file() else []


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path, queue_seconds=1)


def wait_until(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def test_a_full_whose_timer_has_just_elapsed_is_due_before_its_service_moves(queue: Queue) -> None:
    queue.say(timer="running", next="")
    assert queue.run("diff") == 0
    assert queue.log() == ["diff skipped: a full backup is due"]
    assert queue.calls() == []


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("full", "--type=full --repo=1"),
        ("diff", "--type=diff --repo=1"),
        ("long-term", "--type=full --repo=2"),
    ],
)
def test_a_job_backs_up_with_the_config_files_beside(queue: Queue, kind: str, options: str) -> None:
    assert queue.run(kind) == 0
    assert options in queue.calls()[0]
    assert (queue.data / "chronos_etc" / "pg_hba.conf").read_text() == "local all all peer\n"
    assert "postgresql-17" in (queue.data / "chronos_etc" / "packages.txt").read_text()
    assert queue.log() == [f"{kind} done in 0 s"] or queue.log() == [f"{kind} done in 1 s"]


def test_a_failed_backup_fails_the_job_and_is_recorded(queue: Queue) -> None:
    queue.say(exit="50")
    assert queue.run("full") == 50
    assert queue.log() == ["full failed with exit code 50"]


def test_a_differential_that_cannot_start_is_recorded_as_skipped(queue: Queue) -> None:
    queue.say(slow="")
    full = queue.start("full")
    wait_until(queue.folder / "running")
    assert queue.run("diff") == 0
    assert queue.log() == ["diff skipped: another backup is running"]
    (queue.folder / "slow").unlink()
    full.communicate(timeout=10)
    assert full.returncode == 0
    assert len(queue.calls()) == 1


def test_a_full_that_is_due_goes_first(queue: Queue) -> None:
    queue.say(next="Sun 2020-01-05 02:00:00 UTC")  # after a downtime: due, not yet started
    assert queue.run("diff") == 0
    assert queue.log() == ["diff skipped: a full backup is due"]
    queue.say(next="", active="activating")
    assert queue.run("diff") == 0
    assert not queue.calls()


def test_a_full_and_a_long_term_backup_wait_and_are_never_skipped(queue: Queue) -> None:
    queue.say(slow="")
    first = queue.start("full")
    wait_until(queue.folder / "running")
    others = [queue.start("long-term"), queue.start("full")]
    deadline = time.monotonic() + 1.5  # longer than the queue's own patience
    while time.monotonic() < deadline:
        assert all(job.poll() is None for job in others)
        time.sleep(0.05)
    (queue.folder / "slow").unlink()
    for job in [first, *others]:
        job.communicate(timeout=10)
        assert job.returncode == 0
    assert len(queue.calls()) == 3
    assert all("done" in line for line in queue.log())


def test_a_differential_waits_for_a_full_that_ends_in_time(tmp_path: Path) -> None:
    queue = Queue(tmp_path, queue_seconds=20)
    queue.say(slow="")
    full = queue.start("full")
    wait_until(queue.folder / "running")
    diff = queue.start("diff")
    (queue.folder / "slow").unlink()
    for job in (full, diff):
        job.communicate(timeout=20)
        assert job.returncode == 0
    assert [line.split()[0] for line in queue.log()] == ["full", "diff"]


def test_what_cannot_be_read_does_not_stop_the_backup(queue: Queue) -> None:
    shutil.rmtree(queue.config)
    queue.config.mkdir()
    assert queue.run("full") == 0
    assert queue.run("nonsense") == 64


def test_a_set_says_what_it_was_taken_from_and_is_taken_anyway(queue: Queue) -> None:
    queue.say(options="  --annotation   annotate backup\n", source='[{"a b": "c=d"}]')
    assert queue.run("full") == 0
    assert '--annotation=chronos-source=on 5433: [{"a b": "c=d"}]' in queue.calls()[0]
    queue.say(source="")  # the server does not answer
    assert queue.run("full") == 0
    assert "annotation" not in queue.calls()[1]
