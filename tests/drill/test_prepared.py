"""Two-phase commits that a recovery brought back unfinished."""

from chronos_ops.drill.prepared import judge_prepared
from chronos_ops.model.finding import Status


def test_a_prepared_transaction_is_named_with_its_database() -> None:
    seen = {"gid": "orphan", "database": "app", "owner": "web", "at": "2026-11-23 08:29:50Z"}
    found = judge_prepared([seen])
    assert found.status is Status.FAIL
    assert found.observed == "'orphan' of web in app, 2026-11-23 08:29:50Z"
    assert "ROLLBACK PREPARED" in found.hint


def test_none_is_well() -> None:
    assert judge_prepared([]).status is Status.PASS
