"""The collector, as the shell runs it: whole answers alone, and nobody is asked too often (M2)."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from chronos_ops.plans.templating import render

_FAKES = {
    "psql": 'cat "$FAKE/server"',
    "pgbackrest": 'echo asked >> "$FAKE/asked"; cat "$FAKE/repository"',
    "openssl": '[ "$1" = x509 ] || exit 0; echo "notAfter=Jan  5 09:34:43 2099 GMT"',
}


class Collector:
    """The rendered script; the programs that it calls say what `say` was told, or fail."""

    def __init__(self, folder: Path, *, certificate: bool = True) -> None:
        self.folder, self.state = folder, folder / "state"
        for path in (self.state, folder / "bin"):
            path.mkdir()
        for name, text in _FAKES.items():
            program = folder / "bin" / name
            program.write_text(f"#!/bin/sh\n{text}\n")
            program.chmod(0o755)
        self.script = folder / "collect"
        self.script.write_text(
            render(
                "metrics-collect.sh.j2",
                managed="test",
                slow_seconds=240,
                port=5432,
                query="metrics.sql",
                stanza="chronos",
                certificate=certificate,
            )
        )
        self.say(server="one", repository="r1")

    def say(self, **answers: str | None) -> None:
        """None: that program fails."""
        for name, text in answers.items():
            path = self.folder / name
            if text is None:
                path.unlink()
            else:
                path.write_text(text)

    def run(self, what: str) -> str:
        """Its exit code is always 0: the publisher must run whatever is missing."""
        done = subprocess.run(
            ["sh", str(self.script), what],
            env={
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "FAKE": str(self.folder),
                "STATE_DIRECTORY": str(self.state),
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def has(self) -> dict[str, str]:
        """What the publisher may read."""
        paths = (p for p in self.state.iterdir() if p.suffix in (".json", ".txt", ".part"))
        return {path.name: path.read_text() for path in paths}

    def asked(self) -> int:
        path = self.folder / "asked"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def clock(self, ahead_seconds: float) -> None:
        """As if the repositories had been asked at another time."""
        at = time.time() + ahead_seconds
        os.utime(self.state / "repository.asked", (at, at))


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path)


def test_the_server_is_asked_at_each_tick_and_its_silence_leaves_nothing(
    collector: Collector,
) -> None:
    for text in ("one", "two"):
        collector.say(server=text)
        collector.run("server")
        assert collector.has() == {"server.json": text}
    collector.say(server=None)
    assert "no new server.json" in collector.run("server")
    assert collector.has() == {}
    assert collector.asked() == 0


@pytest.mark.parametrize("broken", ["", None])
def test_a_repository_that_does_not_answer_leaves_what_was_true(
    collector: Collector, broken: str | None
) -> None:
    """And the server's state of the same moment: a newer one would be a false lag."""
    collector.run("slow")
    before = collector.has()
    assert {"repository.json": "r1", "server-then.json": "one"}.items() <= before.items()
    collector.clock(-1000)
    collector.say(server="two", repository=broken)
    assert "no new repository.json" in collector.run("slow")
    after = collector.has()
    assert after["repository.json"] == "r1"
    assert after["server-then.json"] == "one"
    assert not any(name.endswith(".part") for name in after)


@pytest.mark.parametrize(("ahead", "times"), [(0, 1), (-120, 1), (-241, 2), (+3600, 2)])
def test_repositories_are_asked_seldom_also_after_the_clock_was_set_back(
    collector: Collector, ahead: float, times: int
) -> None:
    collector.run("slow")
    collector.clock(ahead)
    collector.run("slow")
    assert collector.asked() == times


def test_one_that_fails_is_not_asked_at_each_tick(collector: Collector) -> None:
    collector.say(repository=None)
    for _ in range(3):
        collector.run("slow")
    assert collector.asked() == 1


def test_a_certificate_is_looked_at_where_one_is_declared(
    collector: Collector, tmp_path: Path
) -> None:
    collector.run("slow")
    assert collector.has()["certificate.txt"].startswith("notAfter=")
    (tmp_path / "other").mkdir()
    without = Collector(tmp_path / "other", certificate=False)
    without.run("slow")
    assert "certificate.txt" not in without.has()
