"""The revert script: what a shell makes of undo deeds, on this machine's own files."""

import subprocess
from pathlib import Path

import pytest

from chronos_ops.execution import guard_script
from chronos_ops.model.errors import ChronosError
from chronos_ops.model.plan import Change, Deed, RemoveFile, RunCommand, RunSql, WriteFile


def change(identifier: str, *undo: Deed) -> Change:
    return Change(id=identifier, title=identifier, why="a test", deeds=(), undo=undo, guard=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(guard_script, "ROOT", str(tmp_path / "guard"))
    monkeypatch.setattr(guard_script, "UNITS", str(tmp_path / "units"))
    (tmp_path / "guard/g").mkdir(parents=True)
    (tmp_path / "units/multi-user.target.wants").mkdir(parents=True)
    return tmp_path


def revert(*changes: Change) -> "subprocess.CompletedProcess[str]":
    script = guard_script.revert_script("g", changes)
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=20)


def owned(path: Path, content: str, mode: str = "0640") -> WriteFile:
    return WriteFile(
        path=str(path), content=content, owner=path.parent.owner(), group=path.parent.group(),
        mode=mode,
    )  # fmt: skip


AWKWARD = 'it\'s "quoted" $HOME `id` \\n é\n\n%s\n'


def test_files_come_back_to_the_byte_with_their_mode(here: Path) -> None:
    file = here / "a file"
    file.write_text("changed")
    done = revert(change("a", owned(file, AWKWARD)), change("b", owned(here / "empty", "")))
    assert done.returncode == 0
    assert file.read_text() == AWKWARD
    assert oct(file.stat().st_mode)[-3:] == "640"
    assert (here / "empty").read_bytes() == b""


def test_the_last_change_is_undone_first_and_every_step_is_tried(here: Path) -> None:
    log = here / "order"

    def say(word: str, code: int = 0) -> RunCommand:
        return RunCommand(argv=("sh", "-c", f"echo {word} >> '{log}'; exit {code}"))

    changes = (change("first", say("1", 3), say("2")), change("second", say("3")))
    done = revert(*changes)
    assert log.read_text().split() == ["3", "1", "2"]
    assert done.returncode == 1
    assert "undo of first, step 2 (command): failed" in (here / "guard/g/log").read_text()
    assert not (here / "guard/g/reverted").exists()
    assert (here / "guard/g/fired").exists()


def test_accepted_codes_stdin_and_a_second_time(here: Path) -> None:
    out = here / "out"
    told = RunCommand(argv=("sh", "-c", f"cat > '{out}'; exit 4"), stdin=AWKWARD, accept=(0, 4))
    for _ in range(2):
        assert revert(change("a", told, RemoveFile(path=str(here / "none")))).returncode == 0
        assert out.read_text() == AWKWARD
    assert (here / "guard/g/reverted").read_text().endswith("Z\n")


def test_what_was_confirmed_is_never_taken_back(here: Path) -> None:
    (here / "guard/g/confirmed").touch()
    file = here / "file"
    file.write_text("new")
    assert revert(change("a", owned(file, "old"))).returncode == 0
    assert file.read_text() == "new"
    assert not (here / "guard/g/fired").exists()


def test_once_reverted_it_does_not_run_at_boot_again(here: Path) -> None:
    link = here / "units/multi-user.target.wants/chronos-guard-g.service"
    link.symlink_to(here / "units/chronos-guard-g.service")
    revert(change("a", RunCommand(argv=("false",))))
    assert link.is_symlink()
    revert(change("a", RunCommand(argv=("true",))))
    assert not link.is_symlink()


@pytest.mark.parametrize(
    ("undo", "word"),
    [
        ((), "no undo"),
        ((RunSql(sql="SELECT 1"),), "cannot be done by the host itself"),
        ((WriteFile(path="/x", content="@{secret:/a}"),), "secret on the host's disk"),
        ((RunCommand(argv=("echo", "@{secret:/a}")),), "secret on the host's disk"),
        ((RunCommand(argv=("x",), stdin_secret="/a"),), "needs a secret"),
    ],
)
def test_what_a_host_cannot_undo_alone_is_refused(undo: tuple[Deed, ...], word: str) -> None:
    with pytest.raises(ChronosError, match=word):
        guard_script.revert_script("g", [change("a", *undo)])


def test_names_are_of_the_run_and_the_plan() -> None:
    name = guard_script.guard_id("20261123T0100Z-security_hardening-ab12", "host firewall")
    assert name == "20261123T0100Z-security_hardening-ab12-host-firewall"
    assert all(name in path for path in guard_script.unit_files(name))
    assert "100%%" in guard_script.service_text("g", ["100% closed"])
