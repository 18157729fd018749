"""The harness of random kills judges from outside: each lie and each leftover is seen."""

import hashlib
import json
from pathlib import Path

import pytest

from benchmarks.kills_judge import Claimed, left_over, lies, not_sealed, read_claim
from benchmarks.kills_strikes import STRIKES, draws


def run(folder: Path, verdict: str = "passed") -> Path:
    """A run's folder that is whole."""
    (folder / "steps").mkdir()
    (folder / "steps/one.json").write_text('{"status": "ok"}')
    (folder / "result.json").write_text(json.dumps({"verdict": verdict}))
    files = [
        {"path": p.relative_to(folder).as_posix(), "sha256": _digest(p)}
        for p in folder.rglob("*.json")
    ]
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    return folder


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_pass_that_is_true_is_none_of_its_business(tmp_path: Path) -> None:
    claim = read_claim(run(tmp_path), ["one"], 0)
    assert claim == Claimed("passed", 0, (), ())
    assert lies(claim, {}) == []
    assert not_sealed(claim, interrupted=False) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("steps/one.json", '{"status": "error"}', "passed without the steps one"),
        ("steps/one.json", "{", "passed without the steps one"),
        ("steps/two.json", "{}", "not as its manifest says: steps/two.json"),
        (".reserve", "0", "not as its manifest says: .reserve"),
        ("manifest.json", "{", "unreadable manifest"),
        ("result.json", '{"verdict": "failed"}', "exit 0, but the verdict is 'failed'"),
        ("result.json", "{", "exit 0, but the verdict is 'unreadable'"),
    ],
)
def test_a_lie_is_seen(tmp_path: Path, name: str, text: str, said: str) -> None:
    (run(tmp_path) / name).write_text(text)
    assert said in "; ".join(lies(read_claim(tmp_path, ["one"], 0), {}))


def test_what_is_missing_is_seen(tmp_path: Path) -> None:
    (run(tmp_path) / "manifest.json").unlink()
    assert "no manifest" in "; ".join(lies(read_claim(tmp_path, ["one"], 0), {}))
    (tmp_path / "result.json").unlink()
    assert lies(read_claim(tmp_path, ["one"], 0), {}) == ["exit 0, but the verdict is ''"]
    killed = read_claim(tmp_path, ["one"], -9)
    assert lies(killed, {}) == []
    assert not_sealed(killed, interrupted=True) == [
        "evidence that is not whole: no manifest",
        "no verdict",
        "interrupted, but the verdict is ",
    ]


def test_the_note_for_the_next_start_is_no_evidence_and_no_leftover_yet(tmp_path: Path) -> None:
    (run(tmp_path) / ".kernel").write_text("{}")
    assert lies(read_claim(tmp_path, ["one"], -9), {"temporary files": ["run-1/.kernel"]}) == []


def test_a_deviation_that_is_told_before_it_is_sealed_is_a_lie() -> None:
    assert lies(Claimed("deviated", -9, (), ()), {}) == []
    assert "no manifest" in "; ".join(lies(Claimed("deviated", -9, (), ("no manifest",)), {}))


def test_a_pass_with_a_host_left_or_another_exit_status_is_a_lie() -> None:
    claim = Claimed("passed", 3, (), ())
    assert lies(claim, {"hosts": ["x"]}) == [
        "passed, but the exit status is 3",
        "passed, but there is hosts x",
    ]


def test_what_is_left_and_what_is_gone_are_counted() -> None:
    before = {"hosts": ["db"], "processes": ["p", "p"], "links": []}
    assert left_over(before, before) == {}
    now = {"hosts": ["db", "drill"], "processes": ["p"], "mounts": ["/m"]}
    assert left_over(before, now) == {
        "hosts": ["drill"],
        "mounts": ["/m"],
        "processes": ["gone: p"],
    }


def test_the_same_seed_draws_the_same_kills_over_the_whole_drill() -> None:
    one, two = ([draw[:3] for draw in draws(7, 38)] for _ in range(2))
    assert one == two
    assert {kind for _, kind, _ in one} == set(STRIKES)
    moments = sorted(moment for _, _, moment in one)
    assert all(n / 38 <= moment <= (n + 1) / 38 for n, moment in enumerate(moments))
