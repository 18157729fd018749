"""What tries from outside mean: not answered is not known, let in is never a pass."""

from pathlib import Path

import pytest

from chronos_ops.hardening.logins import Try, judge_logins, read_try
from chronos_ops.hardening.programs import Said
from chronos_ops.model.finding import Status

RECORDED = Path(__file__).parent / "recorded"


def tried(name: str, exit_code: int = 255) -> Try:
    """What `ssh -v` said to a real host."""
    return read_try(name, Said(exit_code, "", (RECORDED / f"ssh-{name}.txt").read_text()))


OWN, STRANGER, OPEN = tried("own-key", 0), tried("stranger"), tried("stranger-open")
NOBODY = read_try("x", Said(255, "", "ssh: connect to host 192.0.2.1 port 22: timed out\n"))


def status(own: Try, stranger: Try, root: Try) -> dict[str, Status]:
    return {f.id.removeprefix("logins."): f.status for f in judge_logins(own, stranger, root)}


def test_a_hardened_host() -> None:
    assert OWN.entered
    assert STRANGER.offered == frozenset({"publickey"})
    assert STRANGER.said.endswith("Permission denied (publickey).")
    assert set(status(OWN, STRANGER, STRANGER).values()) == {Status.PASS}


def test_a_password_that_is_offered_fails_though_it_was_refused() -> None:
    assert OPEN.offered == frozenset({"publickey", "password"})
    found = status(OWN, OPEN, STRANGER)
    assert found["password"] is Status.FAIL
    assert found["nothing-else-offered"] is Status.FAIL
    assert found["unknown-key"] is Status.PASS
    assert found["keyboard-interactive"] is Status.PASS


def test_who_is_let_in_fails() -> None:
    assert status(OWN, OWN, STRANGER)["unknown-key"] is Status.FAIL
    assert status(OWN, STRANGER, OWN)["root"] is Status.FAIL


def test_without_an_answer_nothing_is_known() -> None:
    assert NOBODY.answer == "no answer"
    found = status(NOBODY, NOBODY, NOBODY)
    assert found.pop("operator") is Status.FAIL
    assert set(found.values()) == {Status.UNKNOWN}


@pytest.mark.parametrize("exit_code", [1, 255])
def test_a_login_without_sudo_is_no_way_in(exit_code: int) -> None:
    assert status(tried("own-key", exit_code), STRANGER, STRANGER)["operator"] is Status.FAIL
