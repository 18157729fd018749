"""Plans and their undo are data: they survive a journal on disk."""

import typing

import pytest
from pydantic import TypeAdapter, ValidationError

from chronos_ops.model import plan as model
from chronos_ops.model.plan import Change, Deed, Effect, Plan, RunCommand, WriteFile

ADAPTER: TypeAdapter[Deed] = TypeAdapter(Deed)


def change(effect: Effect) -> Change:
    return Change(id=effect, title="t", why="w", deeds=(RunCommand(argv=("true",)),), effect=effect)


@pytest.mark.parametrize(
    ("effects", "whole"),
    [
        ([], Effect.NONE),
        ([Effect.NONE], Effect.NONE),
        ([Effect.RELOAD, Effect.NONE], Effect.RELOAD),
        ([Effect.RESTART, Effect.RELOAD], Effect.RESTART),
        ([Effect.STOP, Effect.RESTART, Effect.NONE], Effect.STOP),
    ],
)
def test_a_plan_is_as_disruptive_as_its_worst_change(effects: list[Effect], whole: Effect) -> None:
    plan = Plan(name="p", changes=tuple(change(effect) for effect in effects))
    assert plan.effect is whole
    assert plan.empty is (not effects)


@pytest.mark.parametrize(
    "deed",
    [
        RunCommand(argv=("install", "-d", "/var/lib/x y"), stdin_secret="cipher", accept=(0, 3)),
        WriteFile(path="/etc/a.conf", content="pass=@{secret:cipher}\n", mode="0640"),
        model.RemoveFile(path="/etc/a.conf"),
        model.RunSql(sql="select 1"),
        model.CallAws(service="s3", operation="create_bucket", arguments={"Bucket": "b"}),
        model.PutSecret(name="cipher"),
        model.DestroyInstance(name="drill-1", run_id="1"),
        model.EmptyPrefix(bucket="b", prefix="drill/1", run_id="1"),
        model.RemoveIamUser(name="drill-1", run_id="1"),
        model.RemoveSecret(name="/drill/1", run_id="1"),
    ],
)
def test_a_deed_comes_back_from_disk_as_what_it_was(deed: Deed) -> None:
    again = ADAPTER.validate_json(ADAPTER.dump_json(deed))
    assert again == deed
    assert type(again) is type(deed)


def test_deeds_are_told_apart_by_their_kind() -> None:
    kinds = [kind.model_fields["kind"].default for kind in typing.get_args(Deed)]
    assert len(kinds) == len(set(kinds))


def test_an_unknown_deed_is_refused() -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python({"kind": "format_disk", "path": "/dev/sda"})
