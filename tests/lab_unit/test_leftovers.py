from pathlib import Path

import pytest

from chronos_ops.lab import leftovers, places
from chronos_ops.lab.places import Places


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(places, "RUN", tmp_path / "run")
    monkeypatch.setattr(leftovers, "RUN", tmp_path / "run")
    return Places("lab", tmp_path)


def test_one_holder_at_a_time_and_no_trace_afterwards(lab: Places) -> None:
    assert not leftovers.is_alive(lab)
    with leftovers.try_lock(lab) as first:
        assert first
        assert leftovers.is_alive(lab)
        with leftovers.try_lock(lab) as second:
            assert not second
        assert leftovers.is_alive(lab), "the loser did not take the lock file away"
    assert not leftovers.is_alive(lab)
    assert not lab.lock.exists()


def test_a_lock_file_without_a_holder_is_no_life(lab: Places) -> None:
    lab.lock.parent.mkdir()
    lab.lock.write_text("")
    assert not leftovers.is_alive(lab)
    assert str(lab.lock) in leftovers.traces(lab)


@pytest.mark.parametrize(
    ("name", "pid"), [("test-12", "12"), ("test-12-own", "12"), ("lab", None), ("test-x", None)]
)
def test_labs_of_test_runs_carry_their_process(name: str, pid: str | None) -> None:
    found = leftovers.TEST_LABS.fullmatch(name)
    assert (found[1] if found else None) == pid
