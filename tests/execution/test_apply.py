"""Applying and rolling back, with fakes at the doors only."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from chronos_ops.connectors.aws import Aws, AwsRefused
from chronos_ops.connectors.ssh import Ssh
from chronos_ops.execution.apply import apply
from chronos_ops.execution.context import Context
from chronos_ops.execution.deeds import Doer
from chronos_ops.execution.rollback import pending_resources
from chronos_ops.model.errors import CommandFailed, Refused, UnfitTarget
from chronos_ops.model.plan import (
    CallAws,
    Change,
    Deed,
    Effect,
    EmptyPrefix,
    Plan,
    PutSecret,
    RemoveIamUser,
    RemoveSecret,
    RunCommand,
    RunSql,
    WriteFile,
)
from chronos_ops.model.secret import Secret


class FakeJournal:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.secrets: list[Secret] = []

    @contextmanager
    def interval(self, kind: str, name: str, **data: Any) -> Iterator[dict[str, Any]]:
        json.dumps(data)  # a journal line is serialisable, or the undo could not be replayed
        self.lines.append((f"begin {kind}", name))
        try:
            yield {}
        finally:
            self.lines.append((f"end {kind}", name))

    def resource(self, name: str, undo: tuple[Deed, ...]) -> None:
        self.lines.append(("resource", name))

    def removed(self, name: str) -> None:
        self.lines.append(("removed", name))

    def kept(self, names: tuple[str, ...], why: str) -> None:
        self.lines.append(("kept", why))

    def note(self, name: str, **data: Any) -> None:
        self.lines.append(("note", name))

    def keep_secret(self, secret: Secret) -> None:
        self.secrets.append(secret)


class FakeSsh:
    def __init__(self, journal: FakeJournal) -> None:
        self.journal = journal
        self.seen: list[tuple[str, Any]] = []

    def run(self, argv: Any, *, stdin: Any = "", **ignored: Any) -> None:
        self.journal.lines.append(("did", " ".join(argv)))
        self.seen.append((" ".join(argv), stdin))

    def put(self, path: str, content: Any, **ignored: Any) -> None:
        self.seen.append((path, content))

    def sql(self, script: Any, database: str = "postgres") -> None:
        self.seen.append((database, script))


class FakeAws:
    def __init__(self) -> None:
        self.secrets: dict[str, Secret] = {"/known": Secret("s3cr3t")}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        self.calls.append((f"{service}.{operation}", arguments))
        if operation == "create_access_key":
            return {"AccessKey": {"AccessKeyId": "AKIA", "SecretAccessKey": "hush"}}
        return {}

    def get_secret(self, name: str) -> Secret:
        return self.secrets[name]

    def put_secret(self, name: str, secret: Secret, *, overwrite: bool = False) -> None:
        assert overwrite or name not in self.secrets
        self.secrets[name] = secret

    def ask_secret_exists(self, name: str) -> bool:
        return name in self.secrets


@pytest.fixture
def journal() -> FakeJournal:
    return FakeJournal()


@pytest.fixture
def aws() -> FakeAws:
    return FakeAws()


@pytest.fixture
def ssh(journal: FakeJournal) -> FakeSsh:
    return FakeSsh(journal)


@pytest.fixture
def doer(aws: FakeAws, ssh: FakeSsh, journal: FakeJournal) -> Doer:
    return Doer(cast(Aws, aws), cast(Ssh, ssh), journal.keep_secret)


def context(aws: FakeAws, ssh: FakeSsh, journal: FakeJournal, folder: Path) -> Context:
    nothing = cast(Any, None)
    return Context("run-1", folder, nothing, nothing, journal, cast(Aws, aws), cast(Ssh, ssh))


def change(identifier: str, *deeds: Deed, **more: Any) -> Change:
    return Change(id=identifier, title=identifier, why="a test", deeds=deeds, **more)


def test_secrets_reach_the_host_and_the_redactor_but_never_an_argument(
    doer: Doer, ssh: FakeSsh, journal: FakeJournal
) -> None:
    doer.do(WriteFile(path="/etc/x", content="key=@{secret:/known}\n"))
    doer.do(RunSql(sql="ALTER ROLE a PASSWORD '@{secret:/known}'"))
    doer.do(RunCommand(argv=("tool",), stdin_secret="/known"))
    contents = [content for _, content in ssh.seen]
    assert contents == [
        Secret("key=s3cr3t\n"),
        Secret("ALTER ROLE a PASSWORD 's3cr3t'"),
        Secret("s3cr3t"),
    ]
    assert journal.secrets == [Secret("s3cr3t")] * 3
    assert "s3cr3t" not in repr(ssh.seen)


def test_a_created_key_goes_into_the_secret_store(
    doer: Doer, aws: FakeAws, journal: FakeJournal
) -> None:
    deed = CallAws(
        service="iam",
        operation="create_access_key",
        store_secret={"/host/secret": "AccessKey.SecretAccessKey"},
    )
    doer.do(deed)
    assert aws.secrets["/host/secret"] == Secret("hush")
    assert journal.secrets == [Secret("hush")]


def test_a_generated_secret_is_made_once(doer: Doer, aws: FakeAws) -> None:
    doer.do(PutSecret(name="/pass"))
    first = aws.secrets["/pass"]
    doer.do(PutSecret(name="/pass"))
    assert aws.secrets["/pass"] == first
    assert len(first.reveal()) == 44  # 32 bytes in base64


@pytest.mark.parametrize(
    "deed",
    [
        EmptyPrefix(bucket="b", prefix="/live", run_id="run-1"),
        EmptyPrefix(bucket="b", prefix="/live", run_id=""),
        RemoveIamUser(name="admin", run_id="run-1"),
        RemoveSecret(name="/chronos/backup/cipher-pass", run_id="run-1"),
    ],
)
def test_removals_refuse_what_the_run_did_not_make(doer: Doer, aws: FakeAws, deed: Deed) -> None:
    with pytest.raises(Refused, match="not made by run"):
        doer.do(deed)
    assert aws.calls == []


def test_removing_what_is_gone_is_no_error(doer: Doer, aws: FakeAws) -> None:
    asked: list[str] = []

    def gone(service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        asked.append(f"{service}.{operation}")
        raise AwsRefused(asked[-1], "ParameterNotFound", "not there")

    aws.call = gone  # type: ignore[method-assign]
    doer.do(RemoveSecret(name="/drills/run-1/pass", run_id="run-1"))
    assert asked[-1:] == ["ssm.delete_parameter"]


def test_a_restart_needs_the_operators_word_and_touches_nothing_without(
    aws: FakeAws, ssh: FakeSsh, journal: FakeJournal, tmp_path: Path
) -> None:
    deed = RunCommand(argv=("systemctl", "restart", "postgresql"))
    plan = Plan(
        name="p",
        changes=(
            change("a", RunCommand(argv=("first",))),
            change("b", deed, effect=Effect.RESTART),
        ),
    )
    where = context(aws, ssh, journal, tmp_path)
    with pytest.raises(Refused, match="allow_restart"):
        apply(plan, where)
    assert ssh.seen == []
    assert apply(plan, where, allow_restart=True) == ["a", "b"]
    assert [argv for argv, _ in ssh.seen] == ["first", "systemctl restart postgresql"]


def test_the_journal_gets_its_line_before_the_deed(
    aws: FakeAws, ssh: FakeSsh, journal: FakeJournal, tmp_path: Path
) -> None:
    plan = Plan(name="p", changes=(change("a", RunCommand(argv=("act",)), creates="thing"),))
    apply(plan, context(aws, ssh, journal, tmp_path), temporary=True)
    assert journal.lines == [
        ("resource", "thing"),
        ("begin deed", "a"),
        ("did", "act"),
        ("end deed", "a"),
    ]


def test_a_refused_plan_is_not_applied(
    aws: FakeAws, ssh: FakeSsh, journal: FakeJournal, tmp_path: Path
) -> None:
    plan = Plan(name="p", changes=(change("a", RunCommand(argv=("act",))),), refusals=("live",))
    with pytest.raises(UnfitTarget, match="live") as unfit:
        apply(plan, context(aws, ssh, journal, tmp_path))
    assert unfit.value.exit_status == 1  # a finding about the target, not wrong usage
    assert ssh.seen == []


class BreakingSsh(FakeSsh):
    """Commands of these names fail."""

    def __init__(self, journal: FakeJournal, *broken: str) -> None:
        super().__init__(journal)
        self.broken = broken

    def run(self, argv: Any, *, stdin: Any = "", **ignored: Any) -> None:
        super().run(argv, stdin=stdin)
        if argv[0] in self.broken:
            raise CommandFailed(f"{argv[0]} on db", 1, "no")


DROP_IN = (WriteFile(path="/conf.d/90", content="archive_mode = on"), RunCommand(argv=("restart",)))
PUT_BACK = (RunCommand(argv=("rm", "/conf.d/90")), RunCommand(argv=("restart-again",)))


def broken_apply(
    aws: FakeAws, journal: FakeJournal, folder: Path, effect: Effect, *broken: str
) -> tuple[str, list[str]]:
    """What a failing change says, and what was done on the host."""
    ssh = BreakingSsh(journal, *broken)
    plan = Plan(name="p", changes=(change("a", *DROP_IN, undo=PUT_BACK, effect=effect),))
    with pytest.raises(CommandFailed, match="restart on db") as failed:
        apply(plan, context(aws, ssh, journal, folder), allow_restart=True)
    return str(failed.value), [seen for seen, _ in ssh.seen]


def test_a_failed_restart_is_undone_at_once_and_journalled(
    aws: FakeAws, journal: FakeJournal, tmp_path: Path
) -> None:
    said, did = broken_apply(aws, journal, tmp_path, Effect.RESTART, "restart")
    assert "the change a was undone" in said
    assert did == ["/conf.d/90", "restart", "rm /conf.d/90", "restart-again"]
    assert ("begin deed", "undo a") in journal.lines


def test_an_undo_that_fails_too_is_said_and_goes_on(
    aws: FakeAws, journal: FakeJournal, tmp_path: Path
) -> None:
    said, did = broken_apply(aws, journal, tmp_path, Effect.RELOAD, "restart", "rm")
    assert "could NOT be undone (rm on db" in said
    assert did[-1] == "restart-again"


def test_a_change_that_does_not_touch_the_database_is_left_to_the_next_run(
    aws: FakeAws, journal: FakeJournal, tmp_path: Path
) -> None:
    said, did = broken_apply(aws, journal, tmp_path, Effect.NONE, "restart")
    assert "undone" not in said
    assert did == ["/conf.d/90", "restart"]


def test_what_is_gone_already_is_deleted(
    doer: Doer, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run was killed between the journal's line and the deed: its undo ends all the same."""
    codes = iter(["NoSuchEntity", "AccessDenied"])

    def refuse(service: str, operation: str, **_: Any) -> dict[str, Any]:
        raise AwsRefused(f"{service} {operation}", next(codes), "no")

    monkeypatch.setattr(aws, "call", refuse)
    deny = {"UserName": "host", "PolicyName": "test"}
    deed = CallAws(service="iam", operation="delete_user_policy", arguments=deny)
    doer.do(deed)
    with pytest.raises(AwsRefused, match="AccessDenied"):
        doer.do(deed)
    codes = iter(["NoSuchEntity"])
    with pytest.raises(AwsRefused):
        doer.do(CallAws(service="iam", operation="put_user_policy", arguments=deny))


def test_pending_resources_come_newest_first_and_survive_half_a_line(tmp_path: Path) -> None:
    undo = [RemoveSecret(name="/x/run-1", run_id="run-1").model_dump(mode="json")]
    lines = [
        {"event": "resource", "name": "one", "undo": undo},
        {"event": "resource", "name": "two", "undo": undo},
        {"event": "resource", "name": "three", "undo": undo},
        {"event": "removed", "name": "two"},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{"event": "remo'
    (tmp_path / "journal.jsonl").write_text(text, encoding="utf-8")
    pending = pending_resources(tmp_path)
    assert [name for name, _ in pending] == ["three", "one"]
    assert pending[0][1] == [RemoveSecret(name="/x/run-1", run_id="run-1")]
