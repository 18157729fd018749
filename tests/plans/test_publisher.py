"""The publisher, tick by tick: what it sends, what it keeps, what it drops and says (M2, M8)."""

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plans.publishing import ACCOUNT, REPOSITORY, SERVER, Publisher

Make = Callable[..., Publisher]
HOUR = 3600.0


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A publisher that sends these metrics."""
    return lambda *metrics: Publisher(tmp_path, *metrics)


# -- what goes out


def test_the_first_tick_goes_out_as_cloudwatch_wants_it(make: Make) -> None:
    publisher = make("heartbeat", "disk_used_percent", "memory_used_percent", "cpu_used_percent")
    before = time.time()
    said = publisher.tick().stdout
    data = publisher.got()
    assert {d["MetricName"] for d in data} == set(publisher.config["metrics"])
    for datum in data:
        assert datum["Dimensions"] == [{"Name": "Host", "Value": "db"}]
        assert before <= datum["Timestamp"] <= time.time()
        assert datum["StorageResolution"] == 60
        assert 0 <= datum["Value"] <= 100
    assert {d["Unit"] for d in data if d["MetricName"] == "cpu_used_percent"} == {"Percent"}
    assert said == "sent 1 tick\n"
    assert publisher.waiting() == []


def test_memory_is_what_is_not_available(make: Make) -> None:
    publisher = make("memory_used_percent")
    publisher.tick()
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total, available = (int(lines[n].split()[0]) for n in ("MemTotal", "MemAvailable"))
    seen = publisher.newest()["memory_used_percent"]
    assert seen == pytest.approx(100 - 100 * available / total, abs=5)


def test_cpu_is_the_share_since_the_last_tick(make: Make) -> None:
    publisher = make("cpu_used_percent")
    publisher.tick()
    state = publisher.folder / "state/state.json"
    known = json.loads(state.read_text())
    # As if all of the kernel's time since had been idle; a share since the boot would not show it.
    known["cpu"]["idle"] -= 1_000_000
    known["cpu"]["all"] -= 1_000_000
    state.write_text(json.dumps(known))
    publisher.tick()
    assert publisher.newest()["cpu_used_percent"] < 5
    known["cpu"]["idle"] += 1_000_000  # nothing of it idle
    state.write_text(json.dumps(known))
    publisher.tick()
    assert publisher.newest()["cpu_used_percent"] > 95


def test_another_boot_is_no_share(make: Make) -> None:
    publisher = make("cpu_used_percent")
    publisher.tick()
    first = publisher.newest()["cpu_used_percent"]
    state = publisher.folder / "state/state.json"
    known = json.loads(state.read_text())
    known["cpu"] = {"boot": "another", "idle": 0, "all": 1}
    state.write_text(json.dumps(known))
    publisher.tick()
    assert publisher.newest()["cpu_used_percent"] == pytest.approx(first, abs=20)


# -- what cannot be sent


def test_what_cannot_be_sent_arrives_later_with_its_own_time(make: Make) -> None:
    publisher = make("heartbeat")
    publisher.edge("down", "")
    said = [publisher.tick(good=False).stdout for _ in range(2)]
    assert "not sent, 2 ticks wait: Could not connect" in said[1]
    times = [tick["at"] for tick in publisher.waiting()]
    publisher.edge("down", None)
    assert publisher.tick().stdout == "sent 3 ticks\n"
    arrived = [datum["Timestamp"] for datum in publisher.got()]
    assert arrived[:2] == times
    assert arrived == sorted(arrived)
    assert len(arrived) == 3
    assert publisher.waiting() == []


def test_what_was_sent_before_the_line_broke_is_not_sent_again(make: Make) -> None:
    publisher = make("heartbeat", *(f"m{n}" for n in range(249)))  # two ticks a call
    times = publisher.spool(400, 300, 200)
    publisher.edge("puts-left", "1")
    assert "not sent, 2 ticks wait" in publisher.tick(good=False).stdout
    publisher.edge("puts-left", None)
    publisher.tick()
    arrived = [datum["Timestamp"] for datum in publisher.got()]
    assert arrived[:3] == times
    assert len(arrived) == len(set(arrived)) == 5


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        ((15 * 86400, 60), "dropped 1 ticks: older than two weeks"),
        ((-3 * HOUR, 60), "in the future (was the clock set back?)"),
        (tuple(range(600, 0, -60)), "dropped 6 ticks: more than 5 were waiting"),
    ],
)
def test_what_is_dropped_is_said(make: Make, ages: tuple[float, ...], said: str) -> None:
    publisher = make("heartbeat")
    times = publisher.spool(*ages)
    assert said in publisher.tick().stdout
    arrived = [datum["Timestamp"] for datum in publisher.got()]
    assert arrived[:-1] == times[-(len(arrived) - 1) :]  # the newest stay
    assert len(arrived) == 2 if len(ages) == 2 else 5


def test_one_tick_that_is_malformed_does_not_hold_the_others_up(make: Make) -> None:
    publisher = make("heartbeat")
    times = publisher.spool(180, 120, 60)
    publisher.edge("poison", str(times[1]))
    said = publisher.tick().stdout
    assert f"dropped the tick of {times[1]:.0f}" in said
    assert "sent 3 ticks" in said
    arrived = [datum["Timestamp"] for datum in publisher.got()]
    assert times[1] not in arrived
    assert len(arrived) == 3


def test_a_spool_that_a_power_failure_broke_is_said(make: Make) -> None:
    publisher = make("heartbeat")
    for name in ("spool.json", "state.json"):
        (publisher.folder / "state" / name).write_text('{"half')
    said = publisher.tick().stdout
    assert "dropped spool.json: not readable" in said
    assert "dropped state.json: not readable" in said
    assert publisher.newest() == {"heartbeat": 1}


def test_a_full_disk_does_not_silence_it(make: Make) -> None:
    """What the spool cannot keep is sent nevertheless: the disk's share above all."""
    publisher = make("heartbeat", "disk_used_percent")
    for name in ("spool.json", "state.json"):
        (publisher.folder / f"state/{name}.part").mkdir()  # nothing can be written
    said = publisher.tick().stdout
    assert "not kept: " in said
    assert "sent 1 tick" in said
    assert set(publisher.newest()) == {"heartbeat", "disk_used_percent"}


def test_another_account_gets_nothing(make: Make) -> None:
    publisher = make("heartbeat")
    publisher.edge("account", "999999999999")
    said = publisher.tick(good=False).stdout
    assert f"the key belongs to account 999999999999, not to {ACCOUNT}" in said
    assert publisher.got() == []
    assert len(publisher.waiting()) == 1


def test_the_account_is_asked_once_for_each_key(make: Make) -> None:
    publisher = make("heartbeat")
    for _ in range(2):
        publisher.tick()
    assert publisher.calls() == ["identity", "put", "put"]
    key = publisher.folder / "edge/credentials"
    key.unlink()
    time.sleep(0.02)  # another time of writing
    key.write_text("")
    publisher.tick()
    assert publisher.calls()[3:] == ["identity", "put"]


# -- what the collector left

DATABASE = ("archive_backlog_files", "archive_failures", "connections_used_percent")
SLOW = ("backup_age_hours", "repository_lag_segments", "certificate_days_left")


@pytest.mark.parametrize("state", ["missing", "stale", "broken", "of the future", "NaN"])
def test_what_is_not_known_is_left_out_and_said(make: Make, state: str) -> None:
    publisher = make("heartbeat", *DATABASE, *SLOW)
    ages = {"stale": 1000.0, "of the future": -7200.0}
    if state != "missing":
        broken = {"broken": '{"at": ', "NaN": json.dumps({**SERVER, "ready_files": float("nan")})}
        texts = {"server.json": SERVER, "repository.json": [REPOSITORY], "certificate.txt": "x"}
        for name, text in texts.items():
            age = ages.get(state, 0)
            publisher.collect(name, broken.get(state, text), age_seconds=age)
    said = publisher.tick().stdout
    assert publisher.newest() == {"heartbeat": 1}
    assert f"not known now: {', '.join((*DATABASE, *SLOW))}" in said


def test_one_broken_part_does_not_silence_the_others(make: Make) -> None:
    publisher = make("heartbeat", *DATABASE, *SLOW)
    publisher.collect("server.json", SERVER)
    publisher.collect("repository.json", "no JSON")
    publisher.collect("certificate.txt", "notAfter=Jan  5 09:34:43 2099 GMT\n")
    done = publisher.tick()
    seen = publisher.newest()
    assert set(seen) == {"heartbeat", *DATABASE, "certificate_days_left"}
    assert seen["archive_backlog_files"] == 3
    assert seen["connections_used_percent"] == 10
    assert seen["certificate_days_left"] > 20000
    assert "backups: JSONDecodeError" in done.stderr


@pytest.mark.parametrize(("now", "failures"), [(10, 0), (14, 4), (2, 2), (0, 0)])
def test_failures_are_those_since_the_last_tick(make: Make, now: int, failures: int) -> None:
    """Also where the counter was reset between them."""
    publisher = make("archive_failures")
    publisher.collect("server.json", SERVER)
    publisher.tick()
    assert publisher.newest() == {"archive_failures": 0}
    publisher.collect("server.json", {**SERVER, "failed_count": now})
    publisher.tick()
    assert publisher.newest() == {"archive_failures": failures}


def test_failures_of_a_gap_are_not_lost(make: Make) -> None:
    publisher = make("heartbeat", "archive_failures")
    publisher.collect("server.json", SERVER)
    publisher.tick()
    publisher.collect("server.json", SERVER, age_seconds=1000)
    publisher.tick()
    assert publisher.newest() == {"heartbeat": 1}
    publisher.collect("server.json", {**SERVER, "failed_count": 17})
    publisher.tick()
    assert publisher.newest()["archive_failures"] == 7


# -- segments


@pytest.mark.parametrize(
    ("wal_file", "segment_mib", "held", "lag"),
    [
        ("0000000100000001000000FF", 16, ("0000000100000001000000FE",) * 2, 0),
        ("000000010000000200000000", 16, ("0000000100000001000000FF",) * 2, 0),  # the next log
        ("000000010000000200000003", 16, ("0000000100000001000000FE",) * 2, 4),
        ("000000010000000200000000", 64, ("00000001000000010000003F",) * 2, 0),
        # A new timeline counts on; the archive still holds the former one's.
        ("000000020000000100000011", 16, ("00000001000000010000000F",) * 2, 1),
        # Two repositories: the worst counts, also one without any archive.
        (
            "000000010000000100000011",
            16,
            ("000000010000000100000010", "000000010000000100000008"),
            8,
        ),
        ("000000010000000000000005", 16, ("000000010000000000000004", None), 5),
        # An archive ahead of a look at the server that is older: no lag.
        ("000000010000000000000005", 16, ("000000010000000000000009",) * 2, 0),
    ],
)
def test_the_lag_in_segments(
    make: Make, wal_file: str, segment_mib: int, held: tuple[str | None, ...], lag: int
) -> None:
    publisher = make("repository_lag_segments")
    archive = [
        {"database": {"id": 1, "repo-key": key}, "max": newest}
        for key, newest in enumerate(held, 1)
        if newest
    ]
    server = {**SERVER, "wal_file": wal_file, "segment_bytes": segment_mib * 1024**2}
    publisher.collect("repository.json", [{**REPOSITORY, "archive": archive}])
    publisher.collect("server-then.json", server)
    publisher.tick()
    assert publisher.newest() == {"repository_lag_segments": lag}


@pytest.mark.parametrize("timeline", ["00000001", "00000003"])
def test_a_segment_ahead_of_another_timeline_hides_no_lag(make: Make, timeline: str) -> None:
    """After a recovery to an earlier moment; or a promoted copy pushes into our repository (12)."""
    publisher = make("heartbeat", "repository_lag_segments")
    archive = [{"database": {"id": 1, "repo-key": 1}, "max": f"{timeline}00000009000000FE"}]
    publisher.collect("repository.json", [{**REPOSITORY, "archive": archive}])
    publisher.collect("server-then.json", {**SERVER, "wal_file": "000000020000000100000011"})
    said = publisher.tick().stdout
    assert "of another timeline, and ahead" in said
    assert publisher.newest() == {"heartbeat": 1}


def test_an_upgraded_cluster_counts_by_its_own_id_in_each_repository(make: Make) -> None:
    """repo2 was added after the upgrade: it knows one cluster, repo1 two."""
    publisher = make("repository_lag_segments")
    known = copy.deepcopy(REPOSITORY)
    known["db"] = [{"id": i, "repo-key": k} for i, k in ((1, 1), (2, 1), (1, 2))]
    known["archive"] = [
        {"database": {"id": i, "repo-key": k}, "max": newest}
        for i, k, newest in (
            (1, 1, "0000000100000009000000FE"),  # of the former cluster, far ahead
            (2, 1, "0000000100000001000000FD"),
            (1, 2, "0000000100000001000000FE"),
        )
    ]
    publisher.collect("repository.json", [known])
    publisher.collect("server-then.json", SERVER)
    publisher.tick()
    assert publisher.newest() == {"repository_lag_segments": 1}


def test_a_standby_has_no_lag_of_its_own(make: Make) -> None:
    publisher = make("heartbeat", "repository_lag_segments")
    publisher.collect("repository.json", [REPOSITORY])
    publisher.collect("server-then.json", {**SERVER, "wal_file": None})
    assert "not known now: repository_lag_segments" in publisher.tick().stdout


# -- ages


def test_ages_of_backups_by_repository_and_type(make: Make) -> None:
    names = ("backup_age_hours", "full_backup_age_hours", "long_term_backup_age_hours")
    publisher = make(*names)
    backups = [
        {"database": {"repo-key": repo}, "type": kind, "error": error,
         "timestamp": {"stop": time.time() - hours * HOUR}}
        for repo, kind, hours, error in (
            (1, "full", 50, False),
            (1, "diff", 5, None),
            (1, "diff", 1, True),  # pages were broken: it does not count
            (2, "full", 100, False),
        )
    ]  # fmt: skip
    publisher.collect("repository.json", [{**REPOSITORY, "backup": backups}])
    publisher.tick()
    expected = dict(zip(names, (5, 50, 100), strict=True))
    assert publisher.newest() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("stamp", "hours"),
    [(None, 87600), ("now", 0), ("100 hours", 100), ("garbage", None), ("future", None)],
)
def test_the_last_passed_drill(make: Make, stamp: str | None, hours: float | None) -> None:
    """None yet is ten years: an alarm whose metric never came could not even be made."""
    publisher = make("heartbeat", "drill_age_hours")
    ages = {"now": 0.0, "100 hours": 100.0, "future": -48.0}
    if stamp is not None:
        at = f"{time.time() - ages[stamp] * HOUR:.0f}" if stamp in ages else stamp
        publisher.stamp.write_text(f"{at} 20261122T000000Z-drill-abc123\n")
    done = publisher.tick()
    if hours is None:
        assert publisher.newest() == {"heartbeat": 1}
        assert "not known now: drill_age_hours" in done.stdout
        assert "drill: ValueError" in done.stderr
    else:
        assert publisher.newest()["drill_age_hours"] == pytest.approx(hours, abs=0.01)
