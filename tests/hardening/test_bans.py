"""What a stranger's guesses prove, and what they do not."""

from dataclasses import replace
from pathlib import Path

import pytest

from chronos_ops.facts.fail2ban import Fail2ban
from chronos_ops.hardening import bans
from chronos_ops.hardening.bans import _strangers, banned_seconds, judge_ban
from chronos_ops.hardening.guesses import Guessed
from chronos_ops.model.finding import Status
from tests.hardening.looking import a_context
from tests.plans.test_fail2ban import in_operation
from tests.recorded_cases import example_settings

STRANGER = "10.169.161.12"
SHUT_OUT = Guessed("open", "dropped", 6, ("refused",), 6.0)


def seen(*banned: str, dropped: tuple[str, ...] | None = None) -> Fail2ban:
    running = in_operation(example_settings())
    jail = replace(running.jails["sshd"], banned=banned)
    sets = frozenset(banned if dropped is None else dropped)
    return replace(running, jails={**running.jails, "sshd": jail}, dropped=sets)


def status(
    guessed: Guessed,
    fail2ban: Fail2ban,
    filtered: str = "",
    strangers: tuple[str, ...] = ("0.0.0.0/0",),
) -> list[Status]:
    found = judge_ban("sshd", STRANGER, guessed, fail2ban, filtered, strangers=strangers)
    return [f.status for f in found]


def test_dropped_on_the_wire_and_named() -> None:
    assert status(SHUT_OUT, seen(STRANGER), "filtered") == [Status.PASS, Status.PASS]


@pytest.mark.parametrize("after", ["open", "refused"])
def test_a_reject_or_no_ban_at_all_fails(after: str) -> None:
    assert status(replace(SHUT_OUT, after=after), seen(STRANGER))[0] is Status.FAIL


def test_what_another_hand_dropped_is_no_ban() -> None:
    assert status(SHUT_OUT, seen()) == [Status.PASS, Status.FAIL]
    assert status(SHUT_OUT, seen(STRANGER, dropped=()))[1] is Status.FAIL
    assert status(SHUT_OUT, seen(STRANGER), "closed")[0] is Status.FAIL


def test_a_port_that_the_firewall_drops_proves_nothing() -> None:
    closed = Guessed("dropped", "dropped", 0, (), 3.0)
    (said,) = judge_ban("sshd", STRANGER, closed, seen(), strangers=("0.0.0.0/0",))
    assert (said.status, said.good) == (Status.UNKNOWN, False)
    assert "scratch host" in said.hint
    assert status(closed, seen(STRANGER))[0] is Status.UNKNOWN  # a ban from before, not ours


def test_a_port_for_operators_alone_has_nobody_to_ban() -> None:
    closed = Guessed("dropped", "dropped", 0, (), 3.0)
    assert status(closed, seen(), strangers=()) == [Status.NOT_APPLICABLE]
    assert status(closed, seen(STRANGER), strangers=())[0] is Status.UNKNOWN
    settings = example_settings()
    assert _strangers(settings, settings.host.port) == ("0.0.0.0/0", "::/0")
    assert _strangers(settings, settings.postgres.port) == ()


def test_a_ban_that_was_left_out_is_not_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bans, "judge_jails", lambda _: [])
    (said,) = bans.ban_proof(a_context(tmp_path, ban_proof=False)).findings
    assert (said.id, said.status) == ("bans.proof", Status.UNKNOWN)
    assert "not proven" in said.observed
    assert "ban_proof = True" in said.hint


def test_a_service_that_is_down_is_not_known() -> None:
    assert status(Guessed("refused", "refused", 0, (), 1.0), seen())[0] is Status.UNKNOWN


def test_how_long_a_ban_lasted_is_read_from_fail2bans_log() -> None:
    log = [
        f"2026-11-23 01:48:06,180 fail2ban.actions        [2694]: NOTICE  [sshd] Ban {STRANGER}",
        f"2026-11-23 01:48:16,950 fail2ban.actions [2694]: NOTICE  [postgresql] Ban {STRANGER}",
        f"2026-11-23 01:48:26,221 fail2ban.actions        [2694]: NOTICE  [sshd] Unban {STRANGER}",
    ]
    assert banned_seconds(log, "sshd") == pytest.approx(20.041)
    assert banned_seconds(log, "postgresql") is None
    assert banned_seconds([], "sshd") is None
