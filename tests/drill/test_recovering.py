"""What is said of a drill host and of its recovery."""

from dataclasses import replace
from typing import Any, cast

import pytest

from chronos_ops.drill.firewall import judge_closed
from chronos_ops.drill.pages import PagesRead, judge_pages
from chronos_ops.drill.reader import judge_read_only
from chronos_ops.drill.recovering import judge_promoted, judge_reached
from chronos_ops.drill.restore import DrillHost
from chronos_ops.drill.target import Line, Reach
from chronos_ops.facts.postgres import Identity
from chronos_ops.model.finding import Status
from chronos_ops.model.recovery_target import RecoveryTarget
from chronos_ops.model.wal import Lsn, WalSegment

HERE = Identity("42", 170011, False, 3, Lsn(0), 16 * 2**20, True, "/d", "now")
LINES = {n: Line(WalSegment(n, 7)) for n in (1, 2)}
HOST = DrillHost(cast(Any, None), cast(Any, None), cast(Any, None), "17", "42", Reach((), LINES))


@pytest.mark.parametrize(
    ("here", "writing", "host", "status"),
    [
        (HERE, 3, HOST, Status.PASS),
        (HERE, 2, HOST, Status.FAIL),  # the archive's own: nothing was promoted
        (replace(HERE, in_recovery=True), 3, HOST, Status.FAIL),
        (replace(HERE, system_identifier="43"), 3, HOST, Status.FAIL),
        (HERE, 3, replace(HOST, reach=Reach(())), Status.FAIL),  # no timeline to compare with
    ],
)
def test_promoted_means_a_later_timeline_than_the_archive_s(
    here: Identity, writing: int, host: DrillHost, status: Status
) -> None:
    assert judge_promoted(here, writing, host).status is status


STOPPED = (
    "2026-11-22 22:24:12.099 UTC [2964] LOG:  recovery stopping before commit of transaction 744, "
    "time 2026-11-22 22:42:35.890802+00\n"
)


def test_recovery_says_itself_where_it_stopped() -> None:
    target = RecoveryTarget("xid", "744", exclusive=True)
    found = judge_reached(target, STOPPED)
    assert found.status is Status.PASS
    assert "before commit of transaction 744" in found.observed
    assert judge_reached(target, "LOG:  redo done at 0/7041FA8\n").status is Status.FAIL
    assert judge_reached(RecoveryTarget(), "").status is Status.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({22: "open", 80: "no answer", 443: "no answer"}, Status.PASS),
        ({22: "open", 80: "refused", 443: "no answer"}, Status.FAIL),
        ({22: "open", 80: "no answer", 443: "open"}, Status.FAIL),
        ({22: "no answer", 80: "no answer", 443: "no answer"}, Status.UNKNOWN),
    ],
)
def test_a_firewall_is_silent_and_the_host_is_not(answers: dict[int, str], status: Status) -> None:
    assert judge_closed(22, answers).status is status


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (
            "read: yes\nwrite: ERROR: [039]: HTTP request failed with 403: <Code>AccessDenied",
            "pass",
        ),
        ("read: yes\nwrite: yes\n", "fail"),
        ("write: yes\n", "fail"),
        ("write: ERROR: [039]: 403 AccessDenied", "unknown"),  # reads nothing either
        ("read: yes\nwrite: ERROR: [049]: timeout", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_refusal_proves_something_only_beside_a_read(said: str, status: str) -> None:
    assert judge_read_only(said).status == status


def test_pages_that_were_not_read_prove_nothing() -> None:
    read = [PagesRead("a", "table", 2, 9), PagesRead("a", "btree", 3, 4)]
    assert judge_pages(read).status is Status.PASS
    assert judge_pages([]).status is Status.UNKNOWN
    assert judge_pages(read[:1]).status is Status.UNKNOWN
    damaged = [*read, PagesRead("b", "gin", 1, 0, ("s.i: invalid page in block 1",))]
    found = judge_pages(damaged)
    assert found.status is Status.FAIL
    assert found.observed == "b: s.i: invalid page in block 1"
